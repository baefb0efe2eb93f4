"""Beyond pass and fail: joules by layer, other regions and GPUs, whole trainings."""
