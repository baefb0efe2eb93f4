"""What `pytest-greenops init` finds in a project and proposes for it: ini lines, a test, CI."""
