"""One run and one test: what is measured, how often, against which baseline, and confirmed how."""
