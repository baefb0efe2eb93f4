"""A/B: the trees, processes and pairs of a comparison with a git ref."""
