"""What `git worktree add` leaves out: submodules, and large files that Git LFS keeps."""
