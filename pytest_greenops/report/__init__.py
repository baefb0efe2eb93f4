"""Results for people and for programs: sentences, tables, documents. It only reads values."""
