"""Without `--energy` the suite is a functional suite: every test runs once, unmeasured."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

OPTIONS = (
    *("save", "save-new", "baselines", "max-increase", "action", "estimates", "strict", "only"),
    *("skip", "sensors", "min-rounds", "max-rounds", "max-time", "json", "carbon-intensity", "pue"),
)
USES = """
    import asyncio

    import pytest

    CALLS = []


    def f(*args, **kwargs):
        CALLS.append((args, kwargs))
        return len(CALLS)


    @pytest.fixture(autouse=True)
    def forget():
        CALLS.clear()


    def test_call(energy):
        energy.units(sample=64, token=lambda out: out)
        assert energy(f, 1, name=2) == 1
        energy.quality(accuracy=0.9)
        assert CALLS == [((1,), {"name": 2})]
        assert not energy.enabled


    def test_named(energy):
        assert energy.named("encode")(f) == 1
        assert energy.named("decode")(f) == 2
        assert len(CALLS) == 2


    def test_pedantic(energy):
        made = []
        setup = lambda: made.append(1) or ((7,), {"b": 8})
        assert energy.pedantic(f, setup=setup, rounds=20, warmup_rounds=2, iterations=3) == 1
        assert made == [1]
        assert CALLS == [((7,), {"b": 8})]


    def test_rounds(energy):
        energy.units(request=8, token=lambda out: out)
        numbers = []
        for number in energy.rounds():
            numbers.append(number)
            with energy.measure("prefill"):
                f()
            with energy.measure("decode") as window:
                window.result = f()
        assert numbers == [0]
        assert len(CALLS) == 2


    def test_measure(energy):
        with energy.measure("window"):
            f()
        assert len(CALLS) == 1


    def test_acall(energy):
        async def fetch(url):
            return f(url)

        assert asyncio.run(energy.acall(fetch, "here")) == 1
        assert CALLS == [(("here",), {})]


    def test_coroutine_function(energy):
        async def fetch():
            pass

        with pytest.raises(TypeError, match=r"await energy\\.acall\\(fetch, \\.\\.\\.\\)"):
            energy(fetch)


    def test_reads_results(energy):
        energy(f)
        assert energy.results["call"].joules < 3


    @pytest.mark.energy_budget("1 J")
    def test_marked():
        assert f() == 1


    @pytest.mark.energy_budget("1 J")
    def test_fails():
        f()
        assert CALLS == "other"


    @pytest.mark.energy_budget("1 J")
    @pytest.mark.skip
    def test_skipped():
        pass
"""


def test_everything_runs_once(project: Project) -> None:
    """Every way to measure runs its work once, and the closing line counts the budgets."""
    project.write("test_it.py", USES)
    ran = project.run("-rs")
    assert ran.outcomes == {"passed": 8, "failed": 1, "skipped": 2}
    ran.stdout.fnmatch_lines(
        ["SKIPPED * reads energy.results?'call'?, which only pytest --energy measures"]
    )
    assert ran.energy_lines == ["2 budgets not enforced; measure them: pytest --energy -rs"]


def test_a_test_that_is_run_again_counts_once(project: Project) -> None:
    """Attempts of one test are one budget that is not enforced."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("1 J")
        def test_it(): assert False
        """,
    )
    ran = project.run("-p", "pytest_rerunfailures", "--reruns=2")
    assert ran.energy_lines == [
        "1 budget not enforced; measure it: pytest --energy -p pytest_rerunfailures --reruns=2"
    ]


def test_silent_without_budgets(project: Project) -> None:
    """In a suite without budgets the plugin prints nothing and opens no sensor."""
    project.sensor(more="SENSOR.read = None")
    project.write("test_it.py", "def test_it(): pass")
    assert project.run().energy_lines == []


def test_the_plugin_can_be_disabled(project: Project) -> None:
    """`-p no:greenops` disables the plugin: its options are unknown, other tests run."""
    project.write("conftest.py", "")
    project.write("pytest.ini", "[pytest]\n")
    project.write("test_it.py", "def test_it(): pass")
    assert project.run("-p", "no:greenops", plugins=True).outcomes == {"passed": 1}
    refused = project.run("-p", "no:greenops", "--energy", plugins=True)
    assert refused.code == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --energy" in "\n".join(refused.errors)


def test_marker_help(project: Project) -> None:
    """`--markers` shows the marker with every keyword and its purpose."""
    [line] = [
        line for line in project.run("--markers").lines if line.startswith("@pytest.mark.energy_")
    ]
    assert line == (
        "@pytest.mark.energy_budget(energy=None, *, per=None, max_increase=None, "
        "max_quality_drop=None, domain='total', action=None, max_power=None, max_carbon=None, "
        "min_rounds=None, max_rounds=None, max_time=None, max_work=None, max_flop=None, "
        "max_memory=None): limits of the energy that a test may use: an absolute budget such as "
        "'2.5 J', and the largest increase over its baseline; how far its quality may fall below "
        "that of the baseline; and the same for counted work."
    )


def test_option_help(project: Project) -> None:
    """`--help` shows every option and every ini twin, all under the prefix `energy`."""
    text = project.run("--help").text
    for option in ("energy", *(f"energy-{option}" for option in OPTIONS)):
        assert f"  --{option}" in text
        assert f"  {option.replace('-', '_')} (" in text


def test_no_option_swallows_a_path(project: Project) -> None:
    """A test path after an option is still a test path."""
    project.write(
        "test_it.py",
        """
        def test_one(energy, work): energy(work)
        def test_two(energy, work): energy(work)
        """,
    )
    flags = ("--energy", "--energy-save", "--energy-only", "--energy-strict")
    assert project.run(*flags, "test_it.py::test_one").outcomes == {"passed": 1}
