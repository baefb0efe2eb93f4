"""Everything that knows pytest: options, the fixture, measuring hooks, reports on test items."""
