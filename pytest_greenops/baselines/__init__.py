"""Read and write the baselines folder, and say what becomes of a baseline on acceptance."""
