"""Classical models that detect faulty minutes, and the phases in which their energy is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from benchmarks.anomaly.plant import FAULT_SHARE, Labels, Readings, Recording

#: Any, since scikit-learn has no types.
Model: TypeAlias = Any
#: Calls a function, measured.
Measure: TypeAlias = Callable[..., object]
Quality: TypeAlias = dict[str, float]

SEED = 2307_00361
FOLDS = 5
TRAIN_SAMPLES, TEST_SAMPLES = 2000, 1000


class Detector(ClassifierMixin, BaseEstimator):
    """A classifier around an outlier detector, which never sees a label."""

    def __init__(self, detector: Model) -> None:
        self.detector = detector

    def fit(self, readings: Readings, faulty: Labels) -> Detector:
        """Fit the detector to the readings."""
        self.classes_ = np.array([0, 1])
        self.detector_ = clone(self.detector).fit(readings)
        return self

    def predict(self, readings: Readings) -> Labels:
        """Return 1 for outliers."""
        outliers: Labels = (self.detector_.predict(readings) < 0).astype(int)
        return outliers


def _scaled(model: Model) -> Model:
    return make_pipeline(StandardScaler(), model)


#: First the models that learn from labels, then the outlier detectors.
MODELS: dict[str, Callable[[], Model]] = {
    "decision_tree": lambda: DecisionTreeClassifier(random_state=SEED),
    "random_forest": lambda: RandomForestClassifier(n_estimators=20, random_state=SEED),
    "gradient_boosting": lambda: HistGradientBoostingClassifier(random_state=SEED),
    "svm": lambda: _scaled(SVC(class_weight="balanced")),
    "mlp": lambda: _scaled(MLPClassifier((32,), max_iter=300, tol=1e-3, random_state=SEED)),
    "k_nearest_neighbours": lambda: _scaled(KNeighborsClassifier()),
    "logistic_regression": lambda: _scaled(LogisticRegression(class_weight="balanced")),
    "isolation_forest": lambda: Detector(
        IsolationForest(contamination=FAULT_SHARE, random_state=SEED)
    ),
    "local_outlier_factor": lambda: Detector(
        _scaled(LocalOutlierFactor(contamination=FAULT_SHARE, novelty=True))
    ),
    "one_class_svm": lambda: Detector(_scaled(OneClassSVM(nu=FAULT_SHARE))),
    "elliptic_envelope": lambda: Detector(
        EllipticEnvelope(contamination=FAULT_SHARE, random_state=SEED)
    ),
}


@dataclass(frozen=True)
class Phase:
    """One phase in the life of a model.

    samples  samples of one measured call
    run      measures the phase, and returns the quality on data that were not used for training
    """

    name: str
    samples: int
    run: Callable[[Measure, Model, Recording, Recording], Quality]


def train(measure: Measure, model: Model, known: Recording, unseen: Recording) -> Quality:
    """Fit to one recording; return the quality on another."""
    measure(model.fit, known.readings, known.faulty)
    return _quality(model, unseen)


def cross_validation(
    measure: Measure, model: Model, known: Recording, unseen: Recording
) -> Quality:
    """Fit to all but one of five blocks of time and predict that block, five times."""
    scores: dict[str, Labels] = {}

    def validate(readings: Readings, faulty: Labels) -> None:
        metrics = ("f1", "matthews_corrcoef")
        scores.update(
            cross_validate(model, readings, faulty, cv=FOLDS, scoring=metrics, error_score="raise")
        )

    measure(validate, known.readings, known.faulty)
    return {
        "f1": float(scores["test_f1"].mean()),
        "mcc": float(scores["test_matthews_corrcoef"].mean()),
    }


def infer(measure: Measure, model: Model, known: Recording, unseen: Recording) -> Quality:
    """Predict another recording."""
    model.fit(known.readings, known.faulty)
    measure(model.predict, unseen.readings)
    return _quality(model, unseen)


def _quality(model: Model, unseen: Recording) -> Quality:
    predicted = model.predict(unseen.readings)
    return {
        "f1": float(f1_score(unseen.faulty, predicted)),
        "mcc": float(matthews_corrcoef(unseen.faulty, predicted)),
    }


PHASES = {
    phase.name: phase
    for phase in (
        Phase("training", TRAIN_SAMPLES, train),
        Phase("cross_validation", TRAIN_SAMPLES, cross_validation),
        Phase("inference", TEST_SAMPLES, infer),
    )
}
