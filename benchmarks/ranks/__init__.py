"""Training in jobs of several ranks: joules of a sample against the number of ranks."""
