"""Cumulative energy counters behind one contract."""
