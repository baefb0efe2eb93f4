"""Read handwritten digits."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def train(images: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Return a fitted model."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return model.fit(images, labels)


def read(model: Pipeline, images: np.ndarray) -> list[int]:
    """Return the digit of each image."""
    return list(model.predict(images))
