"""Turn a piece of work into rounds of joules: trips, windows, calibration, self-checks."""
