"""Insight beyond verdicts: joules by layer, carbon intensities, and hypothetical answers."""
