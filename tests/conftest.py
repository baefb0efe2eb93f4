"""All tests: `pytester` runs pytest in folders of its own."""

pytest_plugins = ["pytester"]
