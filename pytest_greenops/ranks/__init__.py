"""Jobs of several ranks, as torchrun, Slurm and MPI start them: what all ranks measure together."""
