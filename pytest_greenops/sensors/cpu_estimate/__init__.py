"""Estimate joules from the CPU time of the process tree, where no counter can be read."""
