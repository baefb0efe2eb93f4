"""Joules of a training and of a prediction, beside the accuracy that they buy."""

import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from digits import read, train


@pytest.fixture(scope="module")
def data():
    """Return images and labels for training, then those for the test."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images, labels, test_size=0.25, random_state=1)


@pytest.mark.energy_budget("20 J", max_increase="100%", max_quality_drop="1%")
def test_train(energy, data):
    """The accuracy is stored with the joules: a saving that costs over 1 % of it is red."""
    images, test_images, labels, test_labels = data
    model = energy(train, images, labels)
    energy.quality(accuracy=model.score(test_images, test_labels))


@pytest.mark.energy_budget("0.2 J", max_increase="100%")
def test_read(energy, data):
    """The model is trained outside of the call, so its joules are not in the result."""
    images, test_images, labels, _ = data
    model = train(images, labels)
    energy.units(image=len(test_images))
    assert len(energy(read, model, test_images)) == 450
