"""The power of a counter over time, where it was read between the edges of a window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Annotated

import msgspec

_NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class PowerCurve(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Mean power over consecutive parts of the measured time of a round.

    Parts of which there are too many are united: the mean of both is that of all their time, so
    that the energy stays the same, and a peak that is shorter than a part is flattened.

    until_s  where each part ends, in seconds of measured time since the round began
    watts    the mean power of each part
    """

    until_s: tuple[_NonNegative, ...]
    watts: tuple[_NonNegative, ...]

    def __post_init__(self) -> None:
        if len(self.until_s) != len(self.watts):
            raise ValueError(f"{len(self.until_s)} parts have {len(self.watts)} powers")
        if any(later < until for until, later in pairwise(self.until_s)):
            raise ValueError("a part ends before it begins")

    @classmethod
    def of_counts(cls, counts: Iterable[tuple[float, float]]) -> PowerCurve:
        """Return the curve of a counter, from seconds and the joules until then, both from zero."""
        until_s, watts, before = [], [], (0.0, 0.0)
        for now in counts:
            seconds = now[0] - before[0]
            if seconds > 0:
                until_s.append(now[0])
                watts.append(max(0.0, now[1] - before[1]) / seconds)
                before = now
        return cls(tuple(until_s), tuple(watts))

    @property
    def joules(self) -> float:
        """Return the energy of all parts."""
        return next(reversed(self._counts), (0.0, 0.0))[1]

    @property
    def _counts(self) -> list[tuple[float, float]]:
        """The end of each part, and the joules until then."""
        spans = (later - until for until, later in pairwise((0.0, *self.until_s)))
        joules = (watts * span for watts, span in zip(self.watts, spans, strict=True))
        return list(zip(self.until_s, accumulate(joules), strict=True))

    def thinned(self, most: int) -> PowerCurve:
        """Return the curve with at most `most` parts, of about the same duration."""
        if len(self.until_s) <= most:
            return self
        counts, whole_s = self._counts, self.until_s[-1]
        ends = {bisect_left(self.until_s, whole_s * part / most) for part in range(1, most)}
        return PowerCurve.of_counts(counts[end] for end in sorted(ends | {len(counts) - 1}))


def joined(curves: Sequence[PowerCurve], seconds: Sequence[float]) -> PowerCurve:
    """Return one curve of windows that took these seconds, one after the other."""
    begins = accumulate(seconds, initial=0.0)
    until_s = [
        begin_s + min(until_s, duration_s)
        for curve, begin_s, duration_s in zip(curves, begins, seconds, strict=False)
        for until_s in curve.until_s
    ]
    return PowerCurve(tuple(until_s), tuple(watts for curve in curves for watts in curve.watts))
