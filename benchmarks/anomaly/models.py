"""Classical models that tell faulty minutes from good ones: taught by labels, or without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from benchmarks.anomaly.plant import FAULT_SHARE, Labels, Readings

#: Any, for scikit-learn has no types.
Model: TypeAlias = Any
SEED = 2307_00361


class Detector(ClassifierMixin, BaseEstimator):
    """Answers as a classifier does, with a detector of outliers that never sees a label."""

    def __init__(self, detector: Model) -> None:
        self.detector = detector

    def fit(self, readings: Readings, faulty: Labels) -> Detector:
        """Learn what is usual."""
        self.classes_ = np.array([0, 1])
        self.detector_ = clone(self.detector).fit(readings)
        return self

    def predict(self, readings: Readings) -> Labels:
        """1 where a reading is unusual."""
        unusual: Labels = (self.detector_.predict(readings) < 0).astype(int)
        return unusual


def _scaled(model: Model) -> Model:
    return make_pipeline(StandardScaler(), model)


#: Those that learn from labels, and then the detectors.
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
