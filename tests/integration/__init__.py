"""The plugin in runs of pytest, each in a process of its own, and the command."""
