"""Hypothetical answers: another grid or GPU, a full life cycle, a whole training."""
