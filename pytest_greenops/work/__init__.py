"""Counted work: what a call computes and moves, as torch's dispatcher sees it."""
