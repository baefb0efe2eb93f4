"""Comparisons that need no stored baseline."""
