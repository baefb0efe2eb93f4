"""Where the joules of a test go: its calls are captured when measured, and replayed at its end.

At its end, since replays are work too, which would affect what the test measures next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping

from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.explain_layers import Judged, explain
from pytest_greenops.insight.layers.replay import ReplayPlan
from pytest_greenops.measure.calls import AnyTrip
from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.result import Result
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.stored_baseline import StoredBaseline

_ONCE = "its work runs once only"
_LEFT = "its loop was left in the additional round of --energy-explain"


class Explaining:
    """The explanations of one test; `capturing` while the trip that it adds is in progress."""

    def __init__(self, context: RunContext, baseline: StoredBaseline, label: str) -> None:
        self.capturing = False
        self._context = context
        self._baseline = baseline
        self._label = label
        self._captured: list[tuple[Capture, Plan]] = []
        self._found: dict[str, Explanation] = {}

    @property
    def enabled(self) -> bool:
        """Return whether this run explains."""
        return self._context.options.explain and not self._context.options.fresh_child

    @property
    def pending(self) -> bool:
        """Return whether captured work waits to be replayed."""
        return bool(self._captured)

    def trip(self, names: list[str], plan: Plan) -> Generator[AnyTrip]:
        """Yield one more trip through the work measured under these names, and capture it."""
        if not (self.enabled and names):
            return
        if plan.once:
            self._found.update(dict.fromkeys(names, Explanation(why=_ONCE)))
            return
        capture = Capture(synchronize)
        self.capturing = True
        try:
            yield capture
        except GeneratorExit:  # left by `break`: nothing that fails later is due to this trip
            self.capturing = False
            self._found.update(dict.fromkeys(names, Explanation(why=_LEFT)))
            raise
        self.capturing = False
        self._captured.append((capture, plan))

    def replay(self, results: Mapping[str, Result], left_s: Callable[[], float]) -> None:
        """Replay all captured work, in no more time than a measurement may take."""
        captured, self._captured = self._captured, []
        for number, (capture, plan) in enumerate(captured):
            may_take_s = min(plan.max_time_s, left_s() / 2 / (len(captured) - number))
            judged = {name: self._judged(results[name]) for name in capture.windows}
            replay = ReplayPlan(
                self._context.instruments, synchronize, may_take_s, progress=self._progress
            )
            try:
                self._found |= explain(capture, judged, replay)
            except Exception as error:  # explaining a test must not fail it
                why = f"{type(error).__name__}: {' '.join(str(error).split())}"
                self._found.update(dict.fromkeys(judged, Explanation(why=why)))

    def of(self, name: str) -> Explanation | None:
        """Return the explanation of a name, or None."""
        return self._found.get(name)

    def _progress(self, done: int, most: int) -> None:
        self._context.progress(f"{self._label} by layer", done, most)

    def _judged(self, result: Result) -> Judged:
        joules = 0.0 if math.isnan(result.joules) else result.joules
        counters = list(result.provenance.sensors)
        return Judged(joules, counters, result.unit, self._baseline.layers(result.name))
