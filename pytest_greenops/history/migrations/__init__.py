"""How Alembic brings a history to the schema of this version."""
