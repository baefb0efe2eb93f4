"""One run and one test: what it measures, how often, with which baseline, and its confirmation."""
