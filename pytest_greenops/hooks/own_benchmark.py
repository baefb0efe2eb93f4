"""The fixture `benchmark` of a run with `--energy-benchmarks` in which no other plugin has one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import pytest

T = TypeVar("T")


class OwnBenchmark:
    """Calls a function once and times nothing, as pytest-benchmark does with `--benchmark-disable`.

    In a run with `--energy` it is measured like the fixture of another plugin.
    """

    enabled, disabled = False, True

    def __init__(self, item: pytest.Item) -> None:
        mark, callspec = item.get_closest_marker("benchmark"), getattr(item, "callspec", None)
        self.name, self.fullname = item.name, item.nodeid
        self.group = mark.kwargs.get("group") if mark else None
        self.param = callspec.id if callspec else None
        self.params = callspec.params if callspec else None
        self.extra_info: dict[str, Any] = {}

    def __call__(self, function_to_benchmark: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function, and return what it returns."""
        return function_to_benchmark(*args, **kwargs)

    def pedantic(
        self,
        target: Callable[..., T],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 0,
        iterations: int = 1,
    ) -> T:
        """Call a function between its set-up and its teardown, and return what it returns."""
        given, named = (setup() if setup is not None else None) or (args, kwargs or {})
        value = target(*given, **named)
        if teardown is not None:
            teardown(*given, **named)
        return value

    def weave(self, target: Any, **options: Any) -> NoReturn:
        """Raise `NotImplementedError`: replacing functions is left to pytest-benchmark."""
        raise NotImplementedError(
            "benchmark.weave: only pytest-benchmark replaces functions; install it: "
            "pip install 'pytest-benchmark[aspect]'"
        )

    patch = weave

    @property
    def stats(self) -> NoReturn:
        """Raise `AttributeError`: there are no times."""
        raise AttributeError(
            "benchmark.stats: pytest-greenops makes no times; install pytest-benchmark, or guard "
            "what reads them: if benchmark.enabled:"
        )


def join(config: pytest.Config) -> None:
    """Join a run in which no other plugin has a fixture `benchmark`."""
    plugins = config.pluginmanager
    if not any(_is_fixture(getattr(plugin, "benchmark", None)) for plugin in plugins.get_plugins()):
        line = "benchmark(group=None, ...): a benchmark, which --energy-benchmarks measures"
        config.addinivalue_line("markers", line)
        plugins.register(sys.modules[__name__], "greenops-own-benchmark")


def _is_fixture(value: object) -> bool:
    return type(value).__module__ == "_pytest.fixtures"


@pytest.fixture
def benchmark(request: pytest.FixtureRequest) -> OwnBenchmark:
    """Call a function as a benchmark: `benchmark(function, *args)` returns what it returned."""
    return OwnBenchmark(request.node)


@pytest.fixture
def benchmark_weave(benchmark: OwnBenchmark) -> Callable[..., NoReturn]:
    """Replace a function by its benchmark, which needs pytest-benchmark."""
    return benchmark.weave
