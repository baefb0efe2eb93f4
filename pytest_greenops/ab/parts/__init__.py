"""What `git worktree add` leaves out: submodules, large files, and generated modules."""
