"""Read and write the baselines folder; accept, summarise and merge baselines."""
