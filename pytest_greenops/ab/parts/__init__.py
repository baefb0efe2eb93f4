"""What `git worktree add` cannot do: submodules, large files, generated modules and more."""
