"""What a run over a cluster adds to the runs on its machines."""
