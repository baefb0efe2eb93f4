"""The suite over the machines of a Ray cluster: kinds of machine, one run on each, one result."""
