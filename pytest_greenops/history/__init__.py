"""Runs in a database: its schema and migrations, appending, reading, and steps in a trend."""
