"""Simulated machines, for which the true energy of every window is known."""
