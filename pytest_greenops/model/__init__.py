"""Immutable values that every package speaks. No I/O.

Those of which a run keeps thousands have `gc=False`: they are in no cycle, so the garbage collector
need not visit them.
"""
