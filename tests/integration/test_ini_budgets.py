"""`energy_budgets`: budgets in the ini file, for tests without a marker."""

from __future__ import annotations

import json

import pytest

from tests.integration.ab_projects import ab_files, repository
from tests.integration.projects import ALONE, INI, Project

TESTS = """
    import pytest


    def test_encode(work):
        work()


    @pytest.mark.parametrize("size", [1, 20])
    def test_sizes(energy, spend, size):
        energy(spend, 1.0)


    class TestMarked:
        pytestmark = pytest.mark.energy_budget("9 J")

        def test_encode(self, work):
            work()

        @pytest.mark.energy_budget(action="warn")
        def test_own(self, work):
            work()


    def test_other():
        pass
"""


def budgets(project: Project, *lines: str) -> None:
    """Write an ini file with these budgets, and the tests."""
    project.write("pytest.ini", "\n    ".join([f"{INI.strip()}\nenergy_budgets =", *lines]))
    project.write("bench/test_it.py", TESTS)


def test_a_matching_test_is_judged(project: Project) -> None:
    """A test without marker and fixture is measured as a whole, within the budget of its line."""
    budgets(project, "bench/*::test_encode = 1.5 J, action=warn, max_rounds=3")
    ran = project.energy("--energy-only", *ALONE)
    assert ran.outcomes == {"passed": 5, "deselected": 1}
    result = ran.results["test_encode"]
    assert ("over budget", "warn") == (result.verdict.outcome, result.verdict.action)
    assert (1.5, 3) == (result.verdict.limits[0].limit, len(result.rounds))
    assert "test_other" not in ran.verdicts


def test_the_nearest_wins(project: Project) -> None:
    """A marker, even of a class, beats the ini file; of its lines, the last with an argument."""
    budgets(
        project,
        "bench/* = 5 J, action=fail, domain=total, max_rounds=4",
        "bench/*::test_encode = '4 J', per=call",
        'bench/* = max_rounds=3, max_time="2 min"',
    )
    ran = project.energy(*ALONE)
    assert {
        name: (result.verdict.limits[0].limit, result.verdict.action, len(result.rounds))
        for name, result in ran.results.items()
        if result.verdict.limits
    } == {
        "test_encode": (4.0, "fail", 3),
        "test_sizes[1]": (5.0, "fail", 3),
        "test_sizes[20]": (5.0, "fail", 3),
        "TestMarked.test_encode": (9.0, "fail", 3),
        "TestMarked.test_own": (9.0, "warn", 3),
    }


def test_they_are_energy_tests_to_all_that_selects(project: Project) -> None:
    """`-m energy_budget` and `--energy-only` run them, `--energy-skip` does not."""
    budgets(project, "*::test_other =")
    assert {"passed": 3, "deselected": 3} == project.run("-m", "energy_budget").outcomes
    assert {"passed": 5, "deselected": 1} == project.run("--energy-only").outcomes
    ran = project.run("--energy-skip")
    assert {"passed": 1, "deselected": 5} == ran.outcomes
    ran = project.run()
    assert ran.closing == "3 budgets not enforced; measure them: pytest --energy"


#: Wrong lines, and what is wrong with them.
MISTAKES = {
    "tests/*": "'tests/*': expected GLOB = ARGUMENTS, such as 'tests/bench/* = max_increase=3%'",
    "tests/*=1 J": "'tests/*=1 J': expected GLOB = ARGUMENTS, *",
    "a = max_increas=3%": "energy_budget(max_increas=...): unknown keyword: did you mean *",
    "a = max_increase=3": "energy_budget(max_increase=3): expected a percentage, *",
    "a = max_increase=3%, 2 J": "'max_increase=3%, 2 J': expected an energy, then name=value, *",
    "a = 2 J, action='warn": "*expected an energy, then name=value, *",
    "a = 2 J,": "*expected an energy, then name=value, *",
    "a = 2 J, energy=1 J": "energy_budget(energy=...): expected it only once",
    "a = per=x, per=y": "energy_budget(per=...): expected it only once",
    "a = max_rounds='5'": "energy_budget(max_rounds='5'): expected a whole number >= 1",
    "a = min_rounds=7, max_rounds=5": "energy_budget(min_rounds=7, *): expected min_rounds <= *",
    "a = 2 J, per=\x1b[31m": "energy_budget(per='\\x1b[31m'): expected the name of a unit *",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(project: Project, line: str) -> None:
    """A wrong line is a usage error of one line that names the ini file and the line in it."""
    budgets(project, "bench/* = 5 J", "# a comment", line)
    ran = project.run()
    assert pytest.ExitCode.USAGE_ERROR == ran.code
    [error] = ran.errors
    said = MISTAKES[line].replace("[", "[[]")
    pytest.LineMatcher([error]).fnmatch_lines([f"ERROR: pytest.ini:6: energy_budgets: {said}"])


def test_lines_that_contradict_a_marker(project: Project) -> None:
    """What only the marker of a test makes wrong is an error that names the test."""
    budgets(project, "bench/*::test_rounds = max_rounds=3")
    project.write(
        "bench/test_rounds.py",
        "import pytest\n@pytest.mark.energy_budget(min_rounds=5)\ndef test_rounds(): pass",
    )
    [error] = project.run().errors
    assert error.startswith(
        "ERROR: bench/test_rounds.py::test_rounds: energy_budget(min_rounds=5, max_rounds=3): "
    )


@pytest.mark.parametrize("arguments", [(), ("--energy",), ("-p", "xdist", "-n2")], ids=len)
def test_a_glob_that_matches_nothing_is_named(project: Project, arguments: tuple[str, ...]) -> None:
    """The line is named and no test fails, if all tests were collected."""
    budgets(project, "bench/*::test_encode =", "bench/*::test_gone[1] = max_increase=3%")
    said = "pytest.ini:5: energy_budgets: no test matches 'bench/*::test_gone[1]'"
    ran = project.run(*arguments, "-W", "error", "-k", "test_other")
    assert (0, 1) == (ran.code, ran.energy_lines.count(said))
    ran = project.run(*arguments, "bench")
    assert (0, False) == (ran.code, said in ran.energy_lines)
    ran = project.run(*arguments, "--ignore=bench/none")
    assert said not in ran.energy_lines


def test_workers_judge_them(project: Project) -> None:
    """Workers of pytest-xdist and a fresh process measure with the same budgets."""
    budgets(project, "*::test_encode = 1.5 J", "*[20] = 0.5 J, action=warn")
    project.write("bench/test_it.py", TESTS.replace("pytestmark =", "mark ="))
    for arguments in (("-p", "xdist", "-n1"), ()):
        ran = project.energy(*arguments, "--energy-only")
        assert {"failed": 2, "passed": 3}.items() <= ran.outcomes.items()
        assert "over budget" == ran.verdicts["test_encode"] == ran.verdicts["test_sizes[20]"]
        print(ran.results["test_encode"].checks, ran.results["test_encode"].verdict)


def test_both_sides_have_the_budgets_of_the_working_tree(project: Project) -> None:
    """Lines that the ref lacks make energy tests of both sides, also of plain tests."""
    tests = "def test_plain(work): work()\ndef test_benchmark(benchmark, work): benchmark(work)"
    repository(project.path, ab_files(tests))
    ini = (project.path / "pytest.ini").read_text(encoding="utf-8")
    line = "energy_budgets =\n  # as plain as before\n  *::test_plain = max_increase=5%\n"
    project.write("pytest.ini", f"{ini}{line}energy_benchmarks = true\n")
    ran = project.energy("--energy-ab=main")
    for result in ran.results.values():
        found = result.verdict.interleaved
        assert found is not None
        assert ("passed", None) == (found.outcome, found.cause)
    assert {"test_plain", "test_benchmark"} == ran.results.keys()


@pytest.mark.parametrize(
    "table",
    [
        "tool.pytest.ini_options",
        pytest.param(
            "tool.pytest",
            marks=pytest.mark.skipif(
                int(pytest.__version__.partition(".")[0]) < 9, reason="came with pytest 9"
            ),
        ),
    ],
)
def test_toml(project: Project, table: str) -> None:
    """In TOML it is a list of lines; an error names the line of the file."""
    (project.path / "pytest.ini").unlink()
    project.write("test_it.py", "def test_encode(work): work()")
    lines = ["*::test_encode = '1 J', action=warn", "none = 1 J"]
    text = "\n".join([f"[{table}]", "energy_budgets = [", *(f"  {json.dumps(x)}," for x in lines)])
    project.write("pyproject.toml", f'{text}\n]\nenergy_sensors = "fake"\n')
    ran = project.energy(*ALONE)
    assert {"test_encode": "over budget"} == ran.verdicts
    assert "pyproject.toml:4: energy_budgets: no test matches 'none'" in ran.energy_lines
    [error] = project.run("-o", "energy_budgets=a = 1").errors
    assert error.startswith("ERROR: -o energy_budgets: energy_budget(energy=1): expected an ")


def test_a_benchmark_is_measured_by_its_fixture(project: Project) -> None:
    """A line gives a budget to what a `benchmark` fixture times, and says which option it needs."""
    pytest.importorskip("pytest_benchmark")
    budgets(project, "bench/test_fixture.py = 0.5 J, action=warn, max_rounds=3")
    text = "def test_times(benchmark, spend): benchmark(spend, 1.0)"
    project.write("bench/test_fixture.py", text)
    plugin = ("-p", "pytest_benchmark.plugin", "--benchmark-disable", "bench/test_fixture.py")
    ran = project.energy(*ALONE, *plugin, "--energy-benchmarks")
    result = ran.results["test_times"]
    assert (1.0, 3, "over budget") == (result.joules, len(result.rounds), result.verdict.outcome)
    ran = project.energy(*ALONE, *plugin)
    assert {"passed": 1} == ran.outcomes
    verdict = ran.results["test_times"].verdict
    assert ("not measured", "its work runs in the fixture benchmark: add --energy-benchmarks") == (
        verdict.outcome,
        verdict.cause,
    )
