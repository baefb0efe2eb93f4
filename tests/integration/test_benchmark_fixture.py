"""`--energy-benchmarks`: tests with a `benchmark` fixture are energy tests as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ab_projects import compared_project
from tests.integration.projects import ALONE, INI, Project

pytest.importorskip("pytest_benchmark")
pytest.importorskip("pytest_codspeed")

ON = "--energy-benchmarks"
#: The other plugins, as few rounds of them as they make.
BENCHMARK = ("-p", "pytest_benchmark.plugin", "--benchmark-max-time=0")
CODSPEED = ("-p", "pytest_codspeed.plugin", "--codspeed")
QUICK = (*CODSPEED, "--codspeed-warmup-time=0", "--codspeed-max-rounds=2")
#: Tests in which each call of pytest-benchmark takes longer than it wants of a round.
SUITE = """
    import time

    import pytest

    from conftest import SENSOR

    pytestmark = pytest.mark.benchmark(group="parsing")

    def slow(value, more=0):
        time.sleep(0.001)
        SENSOR.spend(2.0)
        return value + more

    @pytest.mark.parametrize("size", [1, 2])
    def test_call(benchmark, size):
        benchmark.extra_info["size"] = size
        assert benchmark(slow, size, more=1) == size + 1

    @pytest.mark.benchmark(min_rounds=3, group="own")
    def test_decorated(benchmark):
        @benchmark
        def value():
            return slow(4)

        assert value == 4

    def test_pedantic(benchmark):
        assert benchmark.pedantic(slow, (3,), {"more": 2}, rounds=4, iterations=2) == 5

    def test_setup(benchmark):
        assert benchmark.pedantic(slow, setup=lambda: ((7,), {}), rounds=2) == 7

    def test_fails(benchmark):
        assert benchmark(slow, 1) == 2
"""
#: A list of the arguments of each call, and of what is called around it.
CALLS = """
    CALLS = []

    def pytest_unconfigure():
        with open("log.txt", "a") as log:
            print(*CALLS, sep="\\n", file=log)

    @pytest.fixture
    def call(spend):
        def call(*args):
            CALLS.append(f"call{args}")
            spend(2.0)
            return args

        return call
"""


@pytest.fixture(autouse=True)
def outside_of_xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide from pytest-benchmark that these tests may run in a worker of pytest-xdist."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def measured(project: Project, test: str, *args: str, **run: Any) -> Any:
    """Return the only result of a project with one test file, whose tests pass."""
    project.write("test_it.py", test)
    ran = project.energy(ON, *(args or BENCHMARK), **run)
    assert set(ran.outcomes) == {"passed"}, ran.text
    [result] = ran.results.values()
    return result


def seen_by_benchmark(file: Path) -> list[dict[str, Any]]:
    """Return what pytest-benchmark's JSON says of each test, apart from times."""
    timed = json.loads(file.read_text())["benchmarks"]
    names = ("name", "fullname", "group", "param", "params", "extra_info")
    return [
        {**{name: each[name] for name in names}, "rounds": each["stats"]["rounds"]}
        | {"iterations": each["stats"]["iterations"]}
        for each in timed
    ]


# --- what is measured ------------------------------------------------------------------------


def test_a_call_is_measured(project: Project) -> None:
    """`benchmark(f, *args, **kwargs)` measures the function with its arguments."""
    result = measured(
        project,
        """
        def test_it(benchmark, spend):
            assert benchmark(spend, 3.0, seconds=0.2) is None
            assert benchmark.stats["rounds"] >= 5
        """,
    )
    assert (result.joules, result.seconds) == (3.0, 0.2)
    assert len(result.rounds) >= 5
    assert result.benchmark.plugin == "pytest-benchmark"


def test_a_decorator_is_measured(project: Project) -> None:
    """`@benchmark` measures the function below it, which becomes its value."""
    test = """
        def test_it(benchmark, spend):
            @benchmark
            def value():
                spend(3.0)
                return 7

            assert value == 7
    """
    assert measured(project, test).joules == 3.0


def test_a_woven_function_is_measured(project: Project) -> None:
    """`benchmark_weave` measures the function that it replaces."""
    project.write(
        "aspectlib.py",
        """
        from unittest.mock import patch

        def weave(target, aspect):
            name, _, attribute = target.rpartition(".")
            changed = patch(target, aspect(getattr(__import__(name), attribute)))
            changed.start()
            changed.rollback = changed.stop
            return changed
        """,
    )
    project.write("woven.py", "def f(spend):\n    spend(3.0)\n    return 7\n")
    test = """
        import woven

        def test_it(benchmark_weave, spend):
            benchmark_weave("woven.f")
            assert woven.f(spend) == 7
    """
    assert measured(project, test).joules == 3.0


def test_setup_and_teardown_are_outside(project: Project) -> None:
    """`pedantic` measures neither; the teardown gets the arguments that the set-up returned."""
    project.sensor(more=CALLS)
    result = measured(
        project,
        """
        def test_it(benchmark, call, spend):
            from conftest import CALLS

            def setup():
                CALLS.append("setup()")
                spend(5.0)
                return (1, 2), {}

            def teardown(*args):
                CALLS.append(f"teardown{args}")
                spend(7.0)

            value = benchmark.pedantic(call, setup=setup, teardown=teardown, rounds=3)
            assert value == (1, 2)
        """,
    )
    assert result.joules == 2.0
    log = project.log()
    assert len(log) > 3 * (3 + 5)
    assert log == ["setup()", "call(1, 2)", "teardown(1, 2)"] * (len(log) // 3)


@pytest.mark.parametrize("setup", ["None", "lambda: None"])
def test_arguments_without_a_setup(project: Project, setup: str) -> None:
    """A set-up that returns nothing leaves the arguments as they are."""
    test = f"""
        def test_it(benchmark, spend):
            benchmark.pedantic(spend, [3.0], {{"seconds": 0.5}}, {setup}, rounds=2)
    """
    result = measured(project, test)
    assert (result.joules, result.seconds) == (3.0, 0.5)


def test_a_single_round_is_not_repeated(project: Project) -> None:
    """Work that pytest-benchmark runs once is measured in that call, without its set-up."""
    project.sensor(more=CALLS)
    result = measured(
        project,
        """
        def test_it(benchmark, call, spend):
            def teardown(*args):
                spend(7.0)

            benchmark.pedantic(call, setup=lambda: spend(5.0), teardown=teardown)
            assert benchmark.stats["rounds"] == 1
        """,
    )
    assert project.log() == ["call()"]
    assert (result.joules, len(result.rounds)) == (2.0, 1)


@pytest.mark.parametrize("option", ["--benchmark-enable", "--benchmark-disable"])
def test_a_single_round_that_fails(project: Project, option: str) -> None:
    """Its failure is the test's own, and nothing is reported."""
    project.write(
        "test_it.py",
        """
        def test_it(benchmark):
            benchmark.pedantic(int, ["x"])
        """,
    )
    ran = project.energy(ON, *BENCHMARK, option)
    assert ran.outcomes == {"failed": 1}
    assert "ValueError: invalid literal" in ran.text
    assert ran.verdicts == {}


def test_a_marked_test_is_measured_as_a_whole(project: Project) -> None:
    """`@pytest.mark.benchmark` without the fixture measures the test, not its fixtures' set-up."""
    result = measured(
        project,
        """
        import pytest

        @pytest.fixture
        def ready(spend):
            spend(5.0)

        @pytest.mark.benchmark(group="whole")
        def test_it(ready, spend):
            spend(3.0)
        """,
    )
    assert result.joules == 3.0
    assert (result.benchmark.plugin, result.benchmark.group) == (None, "whole")


def test_a_unittest_case(project: Project) -> None:
    """A fixture that keeps the benchmark for the methods of a class is followed."""
    test = """
        import unittest

        import pytest

        class TestIt(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def keep(self, benchmark, spend):
                self.benchmark, self.spend = benchmark, spend

            def test_it(self):
                self.benchmark(self.spend, 3.0)
    """
    assert measured(project, test).joules == 3.0


def test_a_fixture_that_is_asked_for_late(project: Project) -> None:
    """`request.getfixturevalue("benchmark")` makes an energy test while it runs."""
    test = """
        def test_it(request, spend):
            request.getfixturevalue("benchmark")(spend, 3.0)
    """
    assert measured(project, test).joules == 3.0


def test_an_unused_fixture_measures_nothing(project: Project) -> None:
    """A test that never calls its benchmark is not measured, and passes."""
    project.write("test_it.py", "def test_it(benchmark): pass")
    ran = project.energy(ON, *BENCHMARK)
    assert ran.outcomes["passed"] == 1
    assert ran.verdicts == {"test_it": "not measured"}


# --- whose fixture ---------------------------------------------------------------------------

OWN = """
    import pytest

    @pytest.fixture
    def benchmark({arguments}):
        return {value}

    def test_it(benchmark, spend):
        benchmark(spend, 3.0)
"""


def test_a_fixture_of_the_project_is_left_alone(project: Project) -> None:
    """A `benchmark` of the project's own, which pytest-benchmark refuses, makes no energy test."""
    project.write("test_it.py", OWN.format(arguments="", value="lambda f, *args: f(*args)"))
    ran = project.energy(ON)
    assert ran.outcomes == {"passed": 1}
    assert ran.verdicts == {}


def test_a_fixture_around_theirs_is_followed(project: Project) -> None:
    """A `benchmark` of the project that returns that of the plugin is measured."""
    assert measured(project, OWN.format(arguments="benchmark", value="benchmark")).joules == 3.0


def test_energy_says_what_is_measured(project: Project) -> None:
    """A test that asks for `energy` too measures by it; its benchmark is only timed."""
    project.sensor(more=CALLS)
    result = measured(
        project,
        """
        def test_it(energy, benchmark, call, spend):
            benchmark.pedantic(call, rounds=3)
            energy(spend, 3.0)
        """,
    )
    assert (result.joules, result.name) == (3.0, "call")
    assert project.log() == ["call()"] * 3


# --- beside pytest-benchmark -----------------------------------------------------------------


def test_its_results_are_unchanged(project: Project) -> None:
    """Its JSON has the same tests and rounds with and without the measurement."""
    project.write("test_it.py", SUITE)
    theirs = ("--benchmark-json=theirs.json", *BENCHMARK)
    plain = project.run(*theirs)
    before = seen_by_benchmark(project.path / "theirs.json")
    ran = project.energy(ON, *theirs)
    assert plain.outcomes == ran.outcomes == {"passed": 5, "failed": 1}
    assert seen_by_benchmark(project.path / "theirs.json") == before
    assert {each["name"]: each["rounds"] for each in before} == {
        **{"test_call[1]": 5, "test_call[2]": 5, "test_decorated": 3},
        **{"test_pedantic": 4, "test_setup": 2, "test_fails": 5},
    }
    assert [name for name, result in ran.results.items() if result.rounds] == [
        each["name"] for each in before
    ]


def test_without_energy_nothing_changes(project: Project) -> None:
    """Without `--energy` the option changes neither calls nor output nor results."""
    project.sensor(more=CALLS)
    project.write("test_it.py", "def test_it(benchmark, call): benchmark.pedantic(call, rounds=3)")
    theirs = ("--benchmark-json=theirs.json", *BENCHMARK)
    for args in ((), (ON,)):
        ran = project.run(*args, *theirs)
        assert ran.outcomes == {"passed": 1}
        assert ran.energy_lines == []
        assert project.log() == ["call()"] * 3
        (project.path / "log.txt").unlink()
        [seen] = seen_by_benchmark(project.path / "theirs.json")
        assert seen["rounds"] == 3


def test_without_the_option_nothing_is_measured(project: Project) -> None:
    """Without the option a benchmark is no energy test; `energy_benchmarks` is its ini twin."""
    project.write("test_it.py", "def test_it(benchmark, spend): benchmark(spend, 3.0)")
    assert project.energy(*BENCHMARK).verdicts == {}
    project.write("pytest.ini", INI + "energy_benchmarks = true\n")
    assert project.energy(*BENCHMARK).verdicts == {"test_it": "no baseline"}


def test_disabled_benchmarks_are_measured(project: Project) -> None:
    """`--benchmark-disable` leaves one call to pytest-benchmark, and the rounds to us."""
    project.sensor(more=CALLS)
    result = measured(
        project,
        """
        def test_it(benchmark, call):
            assert benchmark(call, 1) == (1,)
            assert benchmark.disabled and benchmark.stats is None
        """,
        *BENCHMARK,
        "--benchmark-disable",
        "--energy-max-rounds=5",
    )
    assert result.joules == 2.0
    calls = sum(each.iterations for each in result.rounds) + result.uncounted.before
    assert len(project.log()) == 1 + calls


def test_skipped_benchmarks_stay_skipped(project: Project) -> None:
    """`--benchmark-skip` skips them, and nothing is measured."""
    project.write("test_it.py", SUITE + "\n    def test_other(): pass\n")
    ran = project.energy(ON, *BENCHMARK, "--benchmark-skip", "--deselect=test_it.py::test_fails")
    assert ran.outcomes == {"skipped": 5, "passed": 1, "deselected": 1}
    assert list(ran.verdicts) == ["test_other"]


def test_only_benchmarks(project: Project) -> None:
    """`--benchmark-only` keeps the tests with the fixture; `--energy-only` the marked ones too."""
    project.write(
        "test_it.py",
        """
        import pytest

        def test_benchmark(benchmark, spend): benchmark(spend, 3.0)

        @pytest.mark.benchmark
        def test_marked(): pass

        def test_energy(energy, spend): energy(spend, 2.0)

        def test_plain(): pass
        """,
    )
    ran = project.energy(ON, *BENCHMARK, "--benchmark-only")
    assert ran.outcomes == {"passed": 1, "skipped": 3}
    assert ran.verdicts == {"test_benchmark": "no baseline"}
    ran = project.energy(ON, *BENCHMARK, "--energy-only")
    assert ran.outcomes == {"passed": 3, "deselected": 1}


def test_saving_and_comparing(project: Project) -> None:
    """`--benchmark-autosave`, `--benchmark-compare` and its limit do what they did."""
    project.write("test_it.py", "def test_it(benchmark, spend): benchmark(spend, 3.0)")
    project.save(ON, *BENCHMARK, "--benchmark-autosave")
    limit = "--benchmark-compare-fail=min:1000000%"
    ran = project.energy(ON, *BENCHMARK, "--benchmark-compare", limit)
    assert ran.code == pytest.ExitCode.OK
    assert "0001_" in ran.text
    assert len(list(project.path.glob(".benchmarks/*/*.json"))) == 1
    ran = project.energy(ON, *BENCHMARK, "--benchmark-compare", "--benchmark-compare-fail=min:1e-9")
    assert ran.verdicts == {"test_it": "passed"}


def test_a_regression_fails(project: Project) -> None:
    """A benchmark that uses more energy than its baseline fails like any energy test."""
    project.write("test_it.py", "def test_it(benchmark, work): benchmark(work)")
    project.save(ON, *BENCHMARK)
    ran = project.energy(ON, *BENCHMARK, joules=3.0)
    assert ran.outcomes == {"failed": 1}
    assert "EnergyRegression: call used 3.00 J" in ran.text


def test_a_budget_of_a_benchmark(project: Project) -> None:
    """A marker gives a benchmark its budget, which is not judged as a whole test."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("1 J")
        def test_it(benchmark, work):
            benchmark(work)
        """,
    )
    ran = project.energy(ON, *BENCHMARK, *ALONE)
    assert ran.verdicts == {"test_it": "over budget"}
    assert ran.results["test_it"].joules == 2.0


def test_work_that_is_timed_once_is_not_counted(project: Project) -> None:
    """Counting would change the only time of a single round, so it needs `--benchmark-disable`."""
    project.write("test_it.py", "def test_it(benchmark, work): benchmark.pedantic(work)")
    ran = project.energy(ON, *BENCHMARK, "--energy-count-only")
    work = ran.results["test_it"].verdict.work
    assert work.cause == "it runs once only, and is timed; count it with --benchmark-disable"
    ran = project.energy(ON, *BENCHMARK, "--energy-count-only", "--benchmark-disable")
    assert ran.results["test_it"].verdict.work.cause == "torch is not loaded"


def test_its_output_is_its_own(project: Project) -> None:
    """What the measured calls print, log and warn is not added to the test's."""
    project.write(
        "test_it.py",
        """
        import logging, warnings

        def test_it(benchmark, capsys, caplog, recwarn, spend):
            def work():
                spend(2.0)
                print("here")
                logging.warning("there")
                warnings.warn("everywhere")

            benchmark.pedantic(work, rounds=2)
            assert capsys.readouterr().out == "here\\n" * 2
            assert caplog.messages == ["there"] * 2
            assert len(recwarn) == 1
        """,
    )
    ran = project.energy(ON, *BENCHMARK)
    assert ran.outcomes == {"passed": 1}
    assert ran.verdicts == {"test_it": "no baseline"}


@pytest.mark.parametrize("capture", ["-s", "--capture=no"])
def test_live_output_is_its_own(project: Project, capture: str) -> None:
    """What the measured calls print is not shown with `-s` either."""
    project.write(
        "test_it.py", "def test_it(benchmark): benchmark.pedantic(print, ['here'], rounds=2)"
    )
    ran = project.energy(ON, *BENCHMARK, capture)
    assert ran.text.count("here") == 2


# --- work that we cannot repeat --------------------------------------------------------------


def test_work_that_fails_again(project: Project) -> None:
    """Work that fails after the plugin's own calls is not measured, and the test passes."""
    project.write(
        "test_it.py",
        """
        def test_it(benchmark):
            numbers = iter([1, 2])
            assert benchmark.pedantic(numbers.__next__, rounds=2) == 2
        """,
    )
    ran = project.energy(ON, *BENCHMARK)
    assert ran.outcomes == {"passed": 1}
    verdict = ran.results["test_it"].verdict
    assert verdict.outcome == "not measured"
    assert verdict.cause == "it failed when it was called again (StopIteration: )"


def test_a_coroutine_function_is_not_measured(project: Project) -> None:
    """A call of a coroutine function runs nothing, and the reason says so."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.filterwarnings("ignore")
        def test_it(benchmark):
            async def work(): ...
            benchmark.pedantic(work, rounds=2)
        """,
    )
    ran = project.energy(ON, *BENCHMARK)
    assert ran.outcomes["passed"] == 1
    assert "a call of a coroutine function runs nothing" in ran.results["test_it"].verdict.cause


def test_any_result_is_one(project: Project) -> None:
    """What `energy` refuses as not run is measured, since the plugin times it."""
    test = """
        def test_it(benchmark, spend):
            def lazy():
                spend(3.0)
                return map(str, [1])

            assert list(benchmark(lazy)) == ["1"]
    """
    assert measured(project, test).joules == 3.0


# --- what a benchmark says of itself ---------------------------------------------------------


def test_facts_are_in_the_results(project: Project) -> None:
    """Name, group, parameters and extra_info are in the JSON results; what has no type is text.

    A function or a class is its name: its text would have an address, another one in each run.
    """
    result = measured(
        project,
        """
        import pytest

        @pytest.mark.benchmark(group="parsing")
        @pytest.mark.parametrize(("kind", "make"), [(complex, lambda: 1)])
        def test_it(benchmark, spend, kind, make):
            benchmark(spend, 3.0)
            benchmark.extra_info |= {"lines": [1, 2.5, None, True], 3: {"deep": 1j}}
        """,
    )
    facts = result.benchmark
    assert (facts.plugin, facts.name, facts.group) == (
        *("pytest-benchmark", "test_it[complex-<lambda>]"),
        "parsing",
    )
    assert facts.params == {"kind": "complex", "make": "<lambda>"}
    assert facts.extra_info == {"lines": [1, 2.5, None, True], "3": {"deep": "1j"}}


UNITS = """
    import pytest

    {mark}
    def test_it(benchmark, spend):
        {before}
        benchmark(spend, 3.0)
        {after}
"""
SIZE = 'benchmark.extra_info["batch_size"] = 4'


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("mark", ["", '@pytest.mark.energy_budget("1 J", per="sample")'])
def test_units_of_extra_info(project: Project, when: str, mark: str) -> None:
    """A number in extra_info that ini names is the work of a call, also if it is set after it."""
    project.write(
        "pytest.ini", INI + "energy_benchmark_units =\n    batch_size:sample\n    n:row\n"
    )
    test = UNITS.format(**{"before": "", "after": "", "mark": mark, when: SIZE})
    result = measured(project, test)
    assert result.unit == "sample"
    assert result.per_unit == {"sample": 0.75}
    assert {round_.units["sample"] / round_.iterations for round_ in result.rounds} == {4.0}


def test_a_budget_per_a_unit_that_is_not_counted(project: Project) -> None:
    """A budget per a unit that extra_info lacks fails the test, and names the setting."""
    mark = '@pytest.mark.energy_budget("1 J", per="row")'
    project.write("test_it.py", UNITS.format(mark=mark, before="", after=""))
    ran = project.energy(ON, *BENCHMARK, *ALONE)
    assert ran.outcomes == {"failed": 1}
    assert "energy_benchmark_units = KEY:row" in ran.text


@pytest.mark.parametrize("value", ["None", "{'n': True}", "{'n': 'many'}", "{'n': 0}"])
def test_what_is_no_amount_counts_nothing(project: Project, value: str) -> None:
    """Values that are no amount of work, and an extra_info that is no mapping, count nothing."""
    project.write("pytest.ini", INI + "energy_benchmark_units = n:row\n")
    after = f"benchmark.extra_info = {value}"
    result = measured(project, UNITS.format(mark="", before="", after=after), "-p", "no:benchmark")
    assert (result.unit, result.joules) == ("call", 3.0)


@pytest.mark.parametrize(
    "line", ["batch_size", ":sample", "batch_size:", "n:call", "a:row\n b:row"]
)
def test_wrong_units_are_refused(project: Project, line: str) -> None:
    """A line that is no pair of key and unit is an error that says what is expected."""
    project.write("pytest.ini", INI + f"energy_benchmark_units =\n {line}\n")
    ran = project.energy()
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [error] = ran.errors
    assert error.startswith("ERROR: energy_benchmark_units: ")
    assert "expected KEY:UNIT" in error or "expected each unit once" in error


# --- other processes -------------------------------------------------------------------------


def test_fresh_processes_time_little(project: Project) -> None:
    """A fresh process makes one round of the plugin, with statistics, and writes no file of it."""
    project.sensor(more=CALLS)
    project.write(
        "test_it.py",
        """
        from pathlib import Path

        def test_it(benchmark, call):
            benchmark(call)
            with Path("rounds.txt").open("a") as rounds:
                print(benchmark.stats["rounds"], file=rounds)

        def test_pedantic(benchmark, call):
            benchmark.pedantic(call, rounds=6)
            with Path("rounds.txt").open("a") as rounds:
                print(benchmark.stats["rounds"], file=rounds)
        """,
    )
    files = ("--benchmark-save=once", "--benchmark-json=theirs.json")
    more = ("--benchmark-only", "--benchmark-cprofile=ncalls")
    ran = project.energy(ON, *BENCHMARK, *files, *more, "--energy-sessions=3")
    assert ran.outcomes == {"passed": 2}
    assert {name: len(result.fresh) for name, result in ran.results.items()} == {
        "test_it": 2,
        "test_pedantic": 2,
    }
    assert project.log("rounds.txt") == ["5", "1", "1", "6", "1", "1"]
    assert len(list(project.path.glob(".benchmarks/*/*.json"))) == 1
    assert len(seen_by_benchmark(project.path / "theirs.json")) == 2


def test_a_comparison_with_a_ref(project: Project) -> None:
    """`--energy-ab` compares benchmarks with those of a git ref."""
    tests = """
        import pytest

        @pytest.mark.parametrize("name", ["more", "same"])
        def test_it(benchmark, work, name):
            benchmark(work, name)
    """
    compared_project(project, tests)
    ran = project.energy("--energy-ab=main", ON, *BENCHMARK, "--benchmark-autosave")
    assert ran.verdicts == {"test_it[more]": "regressed", "test_it[same]": "passed"}
    assert len(list(project.path.glob(".benchmarks/*/*.json"))) == 1


def test_workers_of_xdist_measure(project: Project) -> None:
    """With `-n2`, where pytest-benchmark is disabled, estimates are measured."""
    project.sensor('source="estimated"')
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.parametrize("joules", [1, 2, 3])
        def test_it(benchmark, spend, joules):
            benchmark.extra_info["joules"] = joules
            benchmark(spend, joules)
        """,
    )
    ran = project.energy(ON, *BENCHMARK, "-p", "xdist", "-n2")
    assert ran.outcomes == {"passed": 3}
    assert {r.joules: r.benchmark.extra_info["joules"] for r in ran.results.values()} == {
        **{1.0: 1, 2.0: 2, 3.0: 3}
    }


# --- pytest-codspeed -------------------------------------------------------------------------

CODSPEED_SUITE = """
    import pytest

    def test_call(benchmark, call):
        assert benchmark(call, 1) == (1,)

    def test_setup(benchmark, call):
        def setup(): return (2,), {}
        assert benchmark.pedantic(call, setup=setup, rounds=2) == (2,)

    def test_arguments(benchmark, call):
        def setup(number): assert number == 3
        assert benchmark.pedantic(call, (3,), setup=setup, rounds=2) == (3,)

    @pytest.mark.benchmark(group="whole")
    def test_marked(call):
        call()

    def test_plain(): pass
"""


def results_of_codspeed(project: Project) -> list[list[str]]:
    """Return the names of the benchmarks in each file that pytest-codspeed wrote."""
    files = sorted(project.path.glob(".codspeed/*.json"))
    return [[each["name"] for each in json.loads(f.read_text())["benchmarks"]] for f in files]


def test_codspeed_times_and_we_measure(project: Project) -> None:
    """With `--codspeed` each test is timed, then measured; a marked one as a whole."""
    project.sensor(more=CALLS)
    project.write("test_it.py", CODSPEED_SUITE)
    ran = project.energy(ON, *QUICK)
    assert ran.outcomes == {"passed": 4, "deselected": 1}
    assert "4 benchmarked" in ran.text
    assert {name: result.joules for name, result in ran.results.items()} == {
        **{"test_call": 2.0, "test_setup": 2.0, "test_arguments": 2.0, "test_marked": 2.0}
    }
    assert ran.results["test_call"].benchmark.plugin == "pytest-codspeed"
    assert ran.results["test_marked"].benchmark.group == "whole"
    [names] = results_of_codspeed(project)
    assert names == ["test_call", "test_setup", "test_arguments", "test_marked"]


def test_coroutines_and_cases_that_codspeed_times(project: Project) -> None:
    """A marked coroutine function, and a marked `unittest` case, are timed and measured whole."""
    project.sensor(more=CALLS)
    project.write(
        "test_it.py",
        """
        import unittest

        import pytest

        pytestmark = pytest.mark.benchmark

        async def test_coroutine(call):
            call()

        class TestCase(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def keep(self, call):
                self.call = call

            def test_case(self):
                self.call()
        """,
    )
    options = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_mode=auto", "--energy-max-rounds=5")
    ran = project.energy(ON, *QUICK, *options)
    assert ran.outcomes == {"passed": 2}
    assert "2 benchmarked" in ran.text
    assert {name: (result.joules, len(result.rounds)) for name, result in ran.results.items()} == {
        "test_coroutine": (2.0, 5),
        "TestCase.test_case": (2.0, 5),
    }


def test_fresh_processes_write_nothing_of_codspeed(project: Project) -> None:
    """Its results are those of the run that the user called."""
    project.sensor(more=CALLS)
    project.write("test_it.py", CODSPEED_SUITE)
    ran = project.energy(ON, *QUICK, "--energy-sessions=2")
    assert {len(result.fresh) for result in ran.results.values()} == {1}
    assert len(results_of_codspeed(project)) == 1


def test_codspeed_off(project: Project) -> None:
    """Without `--codspeed` its fixture calls once, and is measured."""
    project.write(
        "test_it.py", "def test_it(codspeed_benchmark, spend): codspeed_benchmark(spend, 3.0)"
    )
    ran = project.energy(ON, "-p", "pytest_codspeed.plugin")
    assert ran.results["test_it"].joules == 3.0


def test_the_single_round_of_codspeed(project: Project) -> None:
    """It calls twice, for the time and for the value; the first is measured."""
    project.sensor(more=CALLS)
    result = measured(project, "def test_it(benchmark, call): benchmark.pedantic(call)", *CODSPEED)
    assert project.log() == ["call()"] * 2
    assert (result.joules, len(result.rounds)) == (2.0, 1)


# --- neither plugin --------------------------------------------------------------------------

NEITHER = """
    import pytest

    @pytest.mark.benchmark(group="g")
    @pytest.mark.parametrize("n", [1])
    def test_it(benchmark, call, n):
        assert benchmark(call, n) == (n,)
        benchmark.extra_info["n"] = n
        assert (benchmark.name, benchmark.group, benchmark.params) == ("test_it[1]", "g", {"n": 1})
        if benchmark.enabled:
            assert benchmark.stats["mean"] < 1

    def test_pedantic(benchmark, call):
        made, ended = [], []
        value = benchmark.pedantic(call, setup=lambda: ((2,), {}), teardown=ended.append, rounds=3)
        assert value == (2,)
        assert set(ended) == {2}
"""


def test_our_own_fixture(project: Project) -> None:
    """Without either plugin a suite is measured by a fixture of our own."""
    project.sensor(more=CALLS)
    project.write("test_it.py", NEITHER)
    ran = project.energy(ON, "--strict-markers")
    assert ran.outcomes == {"passed": 2}
    assert {name: result.joules for name, result in ran.results.items()} == {
        "test_it[1]": 2.0,
        "test_pedantic": 2.0,
    }
    facts = ran.results["test_it[1]"].benchmark
    assert (facts.plugin, facts.extra_info) == ("pytest-greenops", {"n": 1})


def test_our_own_fixture_without_energy(project: Project) -> None:
    """Without `--energy` it calls once."""
    project.sensor(more=CALLS)
    project.write("test_it.py", NEITHER)
    ran = project.run(ON)
    assert ran.outcomes == {"passed": 2}
    assert project.log() == ["call(1,)", "call(2,)"]


@pytest.mark.parametrize("args", [(), ("--energy",)])
def test_no_fixture_without_the_option(project: Project, args: tuple[str, ...]) -> None:
    """Without the option there is no fixture `benchmark`, as before."""
    project.write("test_it.py", "def test_it(benchmark): pass")
    ran = project.run(*args)
    assert ran.outcomes == {"errors": 1}
    assert "fixture 'benchmark' not found" in ran.text


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("benchmark.stats", "AttributeError: benchmark.stats: pytest-greenops makes no times"),
        ("benchmark.weave('os.getcwd')", "NotImplementedError: benchmark.weave: only pytest-bench"),
    ],
)
def test_what_our_own_fixture_lacks(project: Project, use: str, message: str) -> None:
    """What needs pytest-benchmark says so in one line."""
    project.write("test_it.py", f"def test_it(benchmark): {use}")
    ran = project.energy(ON)
    assert ran.outcomes == {"failed": 1}
    assert message in ran.text


def test_several_calls_have_names(project: Project) -> None:
    """Where a fixture may be called several times, each call has its own name."""
    project.write(
        "test_it.py",
        """
        def test_it(benchmark, spend):
            benchmark(spend, 2.0)
            benchmark(spend, 3.0)
        """,
    )
    ran = project.energy(ON)
    assert {name: result.joules for name, result in ran.results.items()} == {
        "test_it": 2.0,
        "test_it/call-2": 3.0,
    }
