"""The sub-commands of pytest-greenops: one file for each."""
