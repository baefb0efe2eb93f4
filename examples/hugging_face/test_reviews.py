"""Joules and counted work of a pipeline, per review."""

import pytest

from reviews import classifier, classify

REVIEWS = ["the book was very good", "a bad read", "not good"] * 16


@pytest.fixture(scope="module")
def pipeline():
    """Make the model once, outside of what is measured."""
    return classifier()


@pytest.mark.energy_budget(max_increase="5%", max_work="1%")
def test_classify(energy, pipeline):
    """Tokenizer, model and post-processing are in the joules; the work is that of the model."""
    energy.units(review=len(REVIEWS))
    labels = energy(classify, pipeline, REVIEWS)
    assert len(labels) == len(REVIEWS)
