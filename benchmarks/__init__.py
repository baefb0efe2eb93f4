"""The studies behind this plugin, as energy tests that anyone can run."""
