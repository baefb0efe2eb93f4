"""Immutable values that every package speaks. No I/O."""
