"""What the machine is, and what else runs on it."""
