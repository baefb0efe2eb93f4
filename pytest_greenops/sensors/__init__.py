"""Read energy counters: one module or package for each sensor, one contract for all."""
