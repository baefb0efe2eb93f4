"""The values that every other room speaks."""
