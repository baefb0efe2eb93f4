"""CPU packages and DRAM by RAPL: the powercap tree, or pyRAPL."""
