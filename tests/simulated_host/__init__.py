"""Machines that the tests make up, so that the true energy of every window is known."""
