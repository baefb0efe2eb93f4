"""The suite over a real Ray cluster: several raylets on this machine, each simulated hardware."""
