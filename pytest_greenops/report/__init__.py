"""Turn results into text and documents. Reads values only."""
