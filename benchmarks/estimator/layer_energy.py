"""The joules of layers of one kind, or of all kinds together: a trend and a Gaussian process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from benchmarks.estimator.estimate import LayerProfile, LayerShape
from benchmarks.estimator.shares import fitted
from pytest_greenops.model.errors import GreenopsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

#: How many profiles the trend of all kinds weighs in the trend of one.
USUAL_WEIGHT = 1.0
#: The trend is no smaller than this share of the smallest profile: a logarithm is taken of it.
FLOOR = 0.05
#: A layer is like a profiled one where no size of it is so many times larger or smaller.
ALIKE = 3.0
#: From a profile to a layer unlike it joules follow a power of the sizes, between none and the
#: first, of which no more is known: the deviation of a uniform distribution.
EXPONENT_SD = 12**-0.5


class Logs(NamedTuple):
    """Logarithms of joules: their means, and how their errors vary together."""

    means: Array
    covariance: Array


class LayerEnergy:
    """The joules of layers, learnt from profiles; what the trend leaves over is a process.

    The trend is `a + b MACs + c parameters + d elements in + e elements out`, none of them
    negative, fitted to relative errors: what a call costs whatever its size, arithmetic, traffic.
    It carries the estimate beyond the profiled sizes, where a process alone would go back to its
    mean. On the logarithm of measured over trend stands a Gaussian process with a Matern kernel
    (nu = 5/2, THOR, arXiv 2501.16397; one length scale for each feature) and white noise.

    trend  joules per call, MAC, parameter, element in, element out
    """

    def __init__(self, profiles: Sequence[LayerProfile], usual: Array, seed: int) -> None:
        """`usual`: the trend of all kinds, towards which this one is drawn where profiles are few.

        Raises `GreenopsError` where scikit-learn is missing.
        """
        import numpy as np

        shapes = [profile.shape for profile in profiles]
        joules = np.array([profile.joules for profile in profiles])
        self.trend = trend(profiles, usual)
        self._floor_j = FLOOR * joules.min()
        self._multiplies = all(shape.macs for shape in shapes)
        self._profiled = self._features(shapes)
        self._varying = np.ptp(self._profiled, axis=0) > 0
        self._middle, self._spread = self._profiled.mean(axis=0), self._profiled.std(axis=0)
        self._process = _process(int(self._varying.sum()), seed)
        over = np.log(joules / self._trend_j(shapes))
        with warnings.catch_warnings():  # a length scale at its bound: a feature that says nothing
            warnings.simplefilter("ignore")
            self._process.fit(self._scaled(self._profiled), over)

    def logs(self, shapes: Sequence[LayerShape]) -> Logs:
        """What is known of the joules of layers, the scatter of single layers included.

        The further from all that were profiled the less; such layers err all to one side.
        """
        import numpy as np

        features = self._features(shapes)
        means, covariance = self._process.predict(self._scaled(features), return_cov=True)
        growth_sd = EXPONENT_SD * self._unlike(features)
        means = means + np.log(self._trend_j(shapes))
        return Logs(means, covariance + np.outer(growth_sd, growth_sd))

    def extrapolates(self, shape: LayerShape) -> bool:
        """Whether no layer like it was profiled."""
        return bool(self._unlike(self._features([shape]))[0] > 0)

    def _features(self, shapes: Sequence[LayerShape]) -> Array:
        import numpy as np

        return np.array([s.axes if self._multiplies else s.log_sizes for s in shapes])

    def _unlike(self, features: Array) -> Array:
        """How far the profile is that each layer is most like, in logarithms; 0 where alike."""
        import numpy as np

        apart = np.abs(features[:, None] - self._profiled).max(axis=2).min(axis=1)
        return np.where(apart > np.log(ALIKE), apart, 0.0)

    def _scaled(self, features: Array) -> Array:
        import numpy as np

        varying = self._varying
        if not varying.any():  # layers that are all alike: a process over a constant
            return np.zeros((len(features), 1))
        return np.asarray((features - self._middle)[:, varying] / self._spread[varying])

    def _trend_j(self, shapes: Sequence[LayerShape]) -> Array:
        import numpy as np

        return np.asarray(np.maximum(_sizes(shapes) @ self.trend, self._floor_j))


def trend(profiles: Sequence[LayerProfile], usual: Array | None = None) -> Array:
    """Joules per call, MAC, parameter, element in and out, fitted to relative errors.

    usual  a trend towards which each term is drawn, with the weight of `USUAL_WEIGHT` profiles
    """
    import numpy as np

    joules = np.array([profile.joules for profile in profiles])
    sizes = _sizes([profile.shape for profile in profiles])
    return fitted(sizes / joules[:, None], usual, USUAL_WEIGHT)


def _process(features: int, seed: int) -> Any:
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


def _sizes(shapes: Sequence[LayerShape]) -> Array:
    """A row for each layer: 1, MACs, parameters, elements in, elements out."""
    import numpy as np

    return np.array([(1.0, *shape.sizes) for shape in shapes])
