"""Which commit made a test use more energy: git's own bisect, whose steps are A/B runs."""
