"""What thousands of tests on many kinds of machine cost: files, git, merges, rows of a history."""
