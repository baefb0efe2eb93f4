"""With `--energy-benchmarks`: the fixture `benchmark` of a plugin measures what it has timed.

The plugin makes its own calls first, exactly as without this one, so its times are its own and the
test gets its value. Then the same function is measured with the same arguments, set-up and
teardown. Work that the plugin runs once only is measured in that one call instead: a window opens
after its set-up and closes before its teardown, outside of what the plugin times.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import pytest

from pytest_greenops.hooks import selection
from pytest_greenops.hooks.benchmark_note import note_of, units_of
from pytest_greenops.hooks.fixture import Energy
from pytest_greenops.hooks.measured_item import MeasuredItem
from pytest_greenops.measure.calls import OpenWindow
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.run_options import Options

#: Settings of pytest-benchmark's fixture with which it makes one round, which still has statistics.
_ONE_ROUND = {"_min_rounds": 1, "_max_time": 0.0, "_warmup": False, "cprofile": False}


class Benchmarks:
    """Lets the `benchmark` fixtures of a run measure, and keeps what they say of themselves."""

    def __init__(self, handle: Callable[[pytest.Item], Energy], options: Options) -> None:
        """Measure by the handles of a run; one that measures for another process times little."""
        self._handle = handle
        self._options = options

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Let a run for another process write no results of pytest-codspeed."""
        codspeed = _codspeed(session.config)
        if self._options.fresh_child and codspeed is not None:
            codspeed.is_codspeed_enabled = False

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Let a fixture of a known plugin measure; one of the project is left alone."""
        value = yield
        item, module = request.node, getattr(fixturedef.func, "__module__", None)
        known = module in selection.BENCHMARK_MODULES
        known = known and fixturedef.argname in selection.BENCHMARK_NAMES
        if known and isinstance(item, pytest.Item) and not selection.uses_handle(item):
            self._follow(value, item)
        return value

    def _follow(self, fixture: Any, item: pytest.Item) -> None:
        handle, measured = self._handle(item), MeasuredItem.of(item)
        if measured is None or measured.benchmark is fixture:
            return
        if self._options.fresh_child:
            vars(fixture).update({k: v for k, v in _ONE_ROUND.items() if k in vars(fixture)})
        measured.benchmark = fixture
        fixture._greenops = TimedCalls(fixture, handle, measured, self._options)
        kind: Any = type(fixture)
        # Its own `__class__` may be a property, by which pytest-codspeed passes for another class.
        object.__dict__["__class__"].__set__(fixture, _measuring(kind))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a test that pytest-codspeed times as a whole; keep what a benchmark says."""
        __tracebackhide__ = True
        measured = MeasuredItem.of(item)
        if measured is None:
            return (yield)
        try:
            with _after_codspeed(item, measured):
                return (yield)
        finally:
            if measured.benchmark is not None:
                units = units_of(measured.benchmark, self._options.benchmark_units)
                measured.trial.recount(units)
            if note := note_of(item, measured.benchmark):
                measured.trial.describe(note)


def _codspeed(config: pytest.Config) -> Any:
    """Return what pytest-codspeed keeps of a run, or None."""
    return config.pluginmanager.get_plugin("codspeed_plugin")


@contextmanager
def _after_codspeed(item: pytest.Item, measured: MeasuredItem) -> Iterator[None]:
    """Measure a whole test after pytest-codspeed has timed it inside, if it does that."""
    __tracebackhide__ = True
    codspeed = getattr(_codspeed(item.config), "is_codspeed_enabled", False)
    timed = codspeed and "runtest" in vars(item) and measured.repetitions.whole
    if not (timed and isinstance(item, pytest.Function)):
        yield
        return
    whole = item.obj
    item.obj = whole.__wrapped__
    try:
        yield
    finally:
        item.obj = whole
    try:
        type(item).runtest(item)
    except GreenopsError:
        raise
    except Exception as error:
        measured.trial.leave_out("call", failed_again(error))


class TimedCalls:
    """The calls of one `benchmark` fixture, which its plugin times and its test measures."""

    def __init__(
        self, fixture: Any, handle: Energy, measured: MeasuredItem, options: Options
    ) -> None:
        self._fixture = fixture
        self._handle = handle
        self._trial = measured.trial
        self._options = options
        self._made = 0
        #: pytest-codspeed calls the set-up with the arguments, pytest-benchmark without.
        self._passes_arguments = type(fixture).__module__ == "pytest_codspeed.plugin"

    def measure(
        self,
        function: Callable[..., Any],
        args: Any = (),
        kwargs: Any = None,
        setup: Callable[..., Any] | None = None,
        teardown: Callable[..., Any] | None = None,
    ) -> None:
        """Measure work that the plugin has timed; that this fails does not fail the test."""
        __tracebackhide__ = True
        name, given, named = self._next(), tuple(args), dict(kwargs or {})
        if inspect.iscoroutinefunction(function):
            self._trial.leave_out(name, _COROUTINE)
            return

        def arguments() -> Any:
            assert setup is not None
            made = setup(*given, **named) if self._passes_arguments else setup()
            return (tuple(made[0]), dict(made[1])) if made else None

        try:
            self._handle.timed(name).pedantic(
                function, given, named, setup=arguments if setup else None, teardown=teardown
            )
        except GreenopsError:
            raise
        except Exception as error:
            self._trial.leave_out(name, failed_again(error))

    def once(self, pedantic: inspect.BoundArguments, call: Callable[..., Any]) -> Any:
        """Let the plugin call and time work that runs once, and measure that call."""
        __tracebackhide__ = True
        name, work = self._next(), pedantic.arguments
        if self._options.count_only and _times(self._fixture):
            self._trial.leave_out(name, _TIMED_ONCE)
            return call(*pedantic.args, **pedantic.kwargs)
        setup, teardown = work["setup"], work.get("teardown")
        with ExitStack() as stack:
            measured = self._handle.timed(name).single(OpenWindow())
            windows = [stack.enter_context(measured)]

            def begin(*args: Any, **kwargs: Any) -> Any:
                made = setup(*args, **kwargs) if setup else None
                if windows:  # pytest-codspeed calls the work again, for its result
                    stack.enter_context(windows.pop())
                return made

            def end(*args: Any, **kwargs: Any) -> None:
                stack.close()
                if teardown is not None:
                    teardown(*args, **kwargs)

            work |= {"setup": begin}
            if "teardown" in work:  # pytest-benchmark has it from 5.1 on
                work["teardown"] = end
            return call(*pedantic.args, **pedantic.kwargs)

    @property
    def rounds(self) -> dict[str, int]:
        """The rounds that the plugin makes of a pedantic benchmark, if not those of the test."""
        return {"rounds": 1, "warmup_rounds": 0} if self._options.fresh_child else {}

    def _next(self) -> str:
        """Return the name of the next measurement, and set the work of its calls."""
        self._made += 1
        units = units_of(self._fixture, self._options.benchmark_units)
        per = self._trial.per
        # The test may say it later; until then it is judged by the call.
        late = {per: 1.0} if per and per != "call" else {}
        self._trial.units = {**late, **units}
        return "call" if self._made == 1 else f"call-{self._made}"


def failed_again(error: Exception) -> str:
    """Return why work that its plugin could call is not measured."""
    return f"it failed when it was called again ({type(error).__name__}: {error})"


_COROUTINE = "a call of a coroutine function runs nothing; benchmark a function that awaits it"
_TIMED_ONCE = "it runs once only, and is timed; count it with --benchmark-disable"


def _times(fixture: Any) -> bool:
    """Return whether the plugin of a fixture times its calls in this run."""
    codspeed = getattr(fixture, "_plugin", None)
    return bool(getattr(codspeed, "is_codspeed_enabled", getattr(fixture, "enabled", False)))


@cache
def _measuring(kind: Any) -> Any:
    """Return the class of a plugin's fixture whose calls are measured after they were timed."""

    class Measuring(kind):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            value = kind.__call__(self, *args, **kwargs)
            given = inspect.signature(kind.__call__).bind(self, *args, **kwargs)
            _, function, *rest = given.args
            self._greenops.measure(function, rest, given.kwargs)
            return value

        def pedantic(self, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            given = inspect.signature(kind.pedantic).bind(self, *args, **kwargs)
            given.apply_defaults()
            work, calls = given.arguments, self._greenops
            if (work["rounds"], work["warmup_rounds"], work["iterations"]) == (1, 0, 1):
                return calls.once(given, kind.pedantic)
            work |= calls.rounds
            value = kind.pedantic(*given.args, **given.kwargs)
            around = work["setup"], work.get("teardown")
            calls.measure(work["target"], work["args"], work["kwargs"], *around)
            return value

    Measuring.__name__, Measuring.__qualname__ = kind.__name__, kind.__qualname__
    Measuring.__module__ = kind.__module__
    return Measuring
