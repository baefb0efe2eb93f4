"""Decide on values alone: statistics, looks, margins, budgets, quality. No I/O."""
