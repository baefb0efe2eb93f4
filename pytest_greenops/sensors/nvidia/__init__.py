"""NVIDIA GPUs by NVML: energy counters aligned to ticks, power integrated without one."""
