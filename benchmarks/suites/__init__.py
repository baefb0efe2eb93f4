"""Benchmark suites of other projects, unmodified: with and without this plugin."""
