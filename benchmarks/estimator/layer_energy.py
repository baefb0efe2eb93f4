"""Joules of layers, and of their sum, learnt from profiles: a trend and a Gaussian process."""

from __future__ import annotations

import math
import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from benchmarks.estimator.estimate import LayerProfile, LayerShape
from pytest_greenops.model.errors import GreenopsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

#: Distinct profiled shapes that a kind needs for its own process.
MIN_PROFILES = 5
#: Largest number of profiles in the process of all kinds, whose cost is cubic.
MAX_POOLED = 150
#: Weight of the trend of all kinds in the trend of one kind, in profiles.
POOLED_WEIGHT = 1.0
#: Lower bound of the trend as a share of the smallest profile, since its logarithm is taken.
FLOOR = 0.05
#: A layer resembles a profiled one if no size differs by more than this factor.
SIMILAR = 3.0
#: Standard deviation of the exponent with which joules grow beyond the profiled sizes. Only its
#: range is known, from 0 to 1: this is the deviation of a uniform distribution.
EXPONENT_SD = 12**-0.5


class LayerSum(NamedTuple):
    """Joules of several layers together.

    layers   number of layers
    log_sd   standard deviation of the logarithm of the joules, according to the processes
    guessed  share of the joules that unknown and extrapolated layers contribute
    """

    joules: float
    layers: int
    log_sd: float
    unknown: tuple[LayerShape, ...]
    extrapolated: tuple[LayerShape, ...]
    guessed: float


class LayerEnergies:
    """Energy of layers of any kind: one process per kind, and one for kinds with few profiles."""

    def __init__(self, profiles: Sequence[LayerProfile], seed: int) -> None:
        self._profiles, self._seed = profiles, seed
        self._pooled_trend = _fit_trend(profiles)
        by_kind: dict[str, list[LayerProfile]] = defaultdict(list)
        for profile in profiles:
            by_kind[profile.shape.kind].append(profile)
        self._by_kind = {
            kind: LayerEnergy(of_kind, self._pooled_trend, seed)
            for kind, of_kind in by_kind.items()
            if len({profile.shape for profile in of_kind}) >= MIN_PROFILES
        }

    @cached_property
    def _any_kind(self) -> LayerEnergy:
        sampled = random.Random(self._seed).sample(
            list(self._profiles), min(MAX_POOLED, len(self._profiles))
        )
        return LayerEnergy(sampled, self._pooled_trend, self._seed)

    def sum(self, shapes: Iterable[LayerShape]) -> LayerSum:
        """Return the joules of these layers together.

        The logarithms of layers are normal. Their sum is approximated by a log-normal distribution
        with the same mean and variance (Fenton, IRE Trans. Commun. Syst. 8, 1960). Errors of layers
        of unknown kinds are fully correlated, those of others as their process says.
        """
        import numpy as np

        calls = Counter(shapes)
        by_kind: dict[str, list[LayerShape]] = defaultdict(list)
        for shape in calls:
            by_kind[shape.kind if shape.kind in self._by_kind else ""].append(shape)
        mean_j = variance_j2 = guessed_j = 0.0
        extrapolated: list[LayerShape] = []
        for kind, of_kind in by_kind.items():
            energy = self._by_kind[kind] if kind else self._any_kind
            means, covariance = energy.log_joules(of_kind)
            deviations = np.sqrt(np.diag(covariance))
            if not kind:
                covariance = np.outer(deviations, deviations)
            joules = np.exp(means + deviations**2 / 2) * [calls[shape] for shape in of_kind]
            mean_j += float(joules.sum())
            variance_j2 += float(joules @ np.expm1(covariance) @ joules)
            for shape, joules_of_shape in zip(of_kind, joules, strict=True):
                beyond = bool(kind) and energy.extrapolates(shape)
                extrapolated += [shape] * (calls[shape] * beyond)
                guessed_j += float(joules_of_shape) * (beyond or not kind)
        log_variance = math.log1p(variance_j2 / mean_j**2)
        return LayerSum(
            joules=mean_j * math.exp(-log_variance / 2),
            layers=calls.total(),
            log_sd=math.sqrt(log_variance),
            unknown=tuple(shape for shape in by_kind[""] for _ in range(calls[shape])),
            extrapolated=tuple(extrapolated),
            guessed=guessed_j / mean_j,
        )


class LayerEnergy:
    """Energy of layers of one kind, as a trend times a Gaussian process.

    The trend is `a + b MACs + c parameters + d input elements + e output elements` without negative
    coefficients, fitted to relative errors: a constant per call, arithmetic, memory traffic. It
    determines the estimate beyond the profiled sizes, where a process alone would return to its
    mean. A Gaussian process with a Matern kernel (nu = 5/2, THOR, arXiv 2501.16397; one length
    scale per feature) and white noise models the logarithm of measured joules over trend.
    """

    def __init__(self, profiles: Sequence[LayerProfile], pooled_trend: Array, seed: int) -> None:
        """Fit; with few profiles the trend is close to that of all kinds.

        Raises `GreenopsError` where scikit-learn is missing.
        """
        import numpy as np

        shapes = [profile.shape for profile in profiles]
        joules = np.array([profile.joules for profile in profiles])
        self._trend = _fit_trend(profiles, pooled_trend)
        self._floor_j = FLOOR * joules.min()
        self._multiplies = all(shape.macs for shape in shapes)
        self._profiled = self._features(shapes)
        self._varying = np.ptp(self._profiled, axis=0) > 0
        self._mean, self._spread = self._profiled.mean(axis=0), self._profiled.std(axis=0)
        self._process = _gaussian_process(int(self._varying.sum()), seed)
        log_ratios = np.log(joules / self._trend_j(shapes))
        with warnings.catch_warnings():  # a length scale at its bound: an irrelevant feature
            warnings.simplefilter("ignore")
            self._process.fit(self._scaled(self._profiled), log_ratios)

    def log_joules(self, shapes: Sequence[LayerShape]) -> tuple[Array, Array]:
        """Return means and covariance of the logarithms of joules, scatter of layers included.

        The variance grows with the distance from the profiled layers, where errors are correlated.
        """
        import numpy as np

        features = self._features(shapes)
        means, covariance = self._process.predict(self._scaled(features), return_cov=True)
        growth_sd = EXPONENT_SD * self._distance(features)
        means = means + np.log(self._trend_j(shapes))
        return means, covariance + np.outer(growth_sd, growth_sd)

    def extrapolates(self, shape: LayerShape) -> bool:
        """Return whether no layer of similar size was profiled."""
        return bool(self._distance(self._features([shape]))[0] > 0)

    def _features(self, shapes: Sequence[LayerShape]) -> Array:
        import numpy as np

        return np.array([s.axes if self._multiplies else s.log_sizes for s in shapes])

    def _distance(self, features: Array) -> Array:
        """Return the logarithmic distance of each layer from the nearest profile; 0 if similar."""
        import numpy as np

        distance = np.abs(features[:, None] - self._profiled).max(axis=2).min(axis=1)
        return np.where(distance > np.log(SIMILAR), distance, 0.0)

    def _scaled(self, features: Array) -> Array:
        import numpy as np

        varying = self._varying
        if not varying.any():  # all profiles have the same sizes: a process over a constant
            return np.zeros((len(features), 1))
        return np.asarray((features - self._mean)[:, varying] / self._spread[varying])

    def _trend_j(self, shapes: Sequence[LayerShape]) -> Array:
        import numpy as np

        return np.asarray(np.maximum(_size_matrix(shapes) @ self._trend, self._floor_j))


def fit_relative(terms: Array, prior: Array | None = None, weight: float = 1.0) -> Array:
    """Return non-negative coefficients with which each row sums to about one (least squares).

    terms   a row per measurement: its terms, divided by the sum that they should have
    prior   coefficients to which the fit is drawn, with the weight of this many rows
    """
    import numpy as np
    from scipy.optimize import nnls

    scale = terms.mean(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    rows, targets = terms / scale, np.ones(len(terms))
    if prior is not None:
        rows = np.vstack([rows, weight**0.5 * np.eye(len(scale))])
        targets = np.concatenate([targets, weight**0.5 * prior * scale])
    coefficients, _ = nnls(rows, targets)
    return np.asarray(coefficients / scale)


def _fit_trend(profiles: Sequence[LayerProfile], pooled_trend: Array | None = None) -> Array:
    """Return joules per call, MAC, parameter, input element and output element."""
    import numpy as np

    joules = np.array([profile.joules for profile in profiles])
    sizes = _size_matrix([profile.shape for profile in profiles])
    return fit_relative(sizes / joules[:, None], pooled_trend, POOLED_WEIGHT)


def _size_matrix(shapes: Sequence[LayerShape]) -> Array:
    """Return a row per layer: 1, MACs, parameters, input elements, output elements."""
    import numpy as np

    return np.array([(1.0, *shape.sizes) for shape in shapes])


def _gaussian_process(features: int, seed: int) -> Any:
    try:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    except ImportError as error:
        raise GreenopsError(
            "the estimator needs scikit-learn: pip install 'pytest-greenops[bench]'"
        ) from error
    smooth = Matern([1.0] * max(1, features), (0.1, 100.0), nu=2.5)
    kernel = ConstantKernel(0.1, (1e-4, 10.0)) * smooth + WhiteKernel(0.01, (1e-5, 1.0))
    return GaussianProcessRegressor(kernel, n_restarts_optimizer=1, random_state=seed)
