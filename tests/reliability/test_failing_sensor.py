"""A sensor that fails at each of its reads in turn.

A card that is lost for good beside a sound processor is in
`tests/integration/test_sensor_faults.py`, handles of the kernel that answer EIO in
`tests/unit/sensors/rapl/`.
"""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

#: Each test begins with a sound sensor, and names the read that fails.
FAILING = """
    READS = {"made": 0, "fails": 0, "how": "", "stays": False}
    SOUND = SENSOR.read

    def read():
        READS["made"] += 1
        late = READS["made"] - READS["fails"]
        if not READS["fails"] or late < 0 or late and not READS["stays"]:
            return SOUND()
        reading = SOUND()
        if READS["how"] == "raises":
            raise OSError(5, "Input/output error")
        counts = {
            "nothing": [None, None],
            "one counter": [None, reading.energy_uj[1]],
            "a counter less": [reading.energy_uj[0]],
            "a text": ["1", "2"],
            "negative": [-1, reading.energy_uj[1]],
            "not a number": [float("nan"), reading.energy_uj[1]],
        }
        return type(reading)(reading.time_ns, counts[READS["how"]])

    SENSOR.read = read

    @pytest.fixture
    def fails():
        def fails(number, how="", stays=False):
            READS.update(made=0, fails=number, how=how, stays=stays)

        yield fails
        READS.update(fails=0)
"""
HOWS = ("raises", "nothing", "one counter", "a counter less", "a text", "negative", "not a number")
#: A call, and a loop with two windows.
MEASURED = """
    def measure(energy, work, kind):
        if kind == "call":
            return energy(work)
        for _ in energy.rounds():
            for name in ("first", "second"):
                with energy.measure(name):
                    work()
"""
COUNTED = """
    import pytest

    @pytest.mark.parametrize("kind", ["call", "loop"])
    def test_sound(energy, work, fails, kind):
        fails(0)
        measure(energy, work, kind)

    def test_reads():
        import conftest
        open("reads.txt", "w").write(str(conftest.READS["made"]))
"""
EACH = """
    import pytest

    @pytest.mark.parametrize("number", range(1, {reads} + 1))
    @pytest.mark.parametrize("stays", [False, True])
    @pytest.mark.parametrize("kind", ["call", "loop"])
    def test_it(energy, work, fails, number, stays, kind):
        fails(number, {how!r}, stays)
        measure(energy, work, kind)
"""


@pytest.fixture
def reads(project: Project) -> int:
    """Return how often the loop reads the sensor, in a project where a read can fail."""
    project.sensor(more=FAILING)
    project.write("test_it.py", MEASURED + COUNTED)
    ran = project.energy()
    assert [result.joules for result in ran.results.values()] == pytest.approx([2.0] * 3, rel=1e-6)
    return int((project.path / "reads.txt").read_text())


@pytest.mark.parametrize("how", HOWS)
def test_no_read_that_fails_makes_a_wrong_number(project: Project, reads: int, how: str) -> None:
    """Whichever read it is, the test passes, and has the true joules or the reason for none."""
    assert reads > 20
    project.write("test_it.py", MEASURED + EACH.format(reads=reads, how=how))
    ran = project.energy()
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.OK, {"passed": 4 * reads}), ran.text
    told = 0
    for name, result in ran.results.items():
        if result.verdict.outcome.value == "not measured":
            assert result.verdict.cause, name
            assert not result.joules > 0, name
        else:
            assert result.joules == pytest.approx(2.0, rel=1e-6), name
        told += any("could not be read" in check.finding for check in result.checks)
    assert told >= 3 * reads


def test_nothing_is_saved_of_a_read_that_failed(project: Project, reads: int) -> None:
    """A baseline has the true joules, or is not there."""
    project.write("test_it.py", MEASURED + EACH.format(reads=reads, how="nothing"))
    ran = project.save()
    assert ran.code == pytest.ExitCode.OK
    saved = project.baselines()
    assert {
        round(each.energy_uj["cpu:0"] / each.iterations)
        for baseline in saved.values()
        for series in baseline.measurements.values()
        for session in series.sessions
        for each in session.rounds
    } <= {2_000_000}
    assert 0 < len(saved) < 4 * reads
