"""Immutable values that every other room speaks; nothing in here reads or writes anything."""
