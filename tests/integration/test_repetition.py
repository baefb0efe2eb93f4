"""Repeated work leaves what a single repetition leaves: output, records, properties, finalizers."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

#: Each test passes without `--energy`. A call takes 1 ms, so that a round has at least 100 calls.
SEEN_ONCE = """
    import contextlib, io, itertools, logging, os, subprocess, sys, unittest, warnings

    import pytest

    from conftest import SENSOR

    marked = pytest.mark.energy_budget("9 kJ")
    numbers = itertools.count(1)
    opened = []

    def work():
        SENSOR.spend(0.002, seconds=0.001)

    def speak():
        work()
        number = next(numbers)
        print("out", number)
        print("err", number, file=sys.stderr)
        return number

    def test_capsys(energy, capsys):
        print("before")
        last = energy(speak)
        assert capsys.readouterr() == (f"before\\nout {last}\\n", f"err {last}\\n")

    def test_capfd(energy, capfd):
        def write():
            work()
            os.write(1, b"written\\n")

        energy.pedantic(write, rounds=3, iterations=50)
        assert capfd.readouterr().out == "written\\n"

    def test_redirected(energy):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            last = energy(speak)
        assert out.getvalue() == f"out {last}\\n"

    def test_only_the_first_speaks(energy, capsys):
        first = iter([True])

        def load():
            work()
            if next(first, False):
                print("loaded")

        energy(load)
        assert capsys.readouterr().out == "loaded\\n"

    def test_rounds(energy, capsys):
        for number in energy.rounds():
            with energy.measure("one"):
                work()
            print(number)
        assert capsys.readouterr().out == f"{number}\\n"

    async def acall(energy, capsys):
        async def speaks():
            return speak()

        last = await energy.acall(speaks)
        assert capsys.readouterr().out == f"out {last}\\n"

    def test_acall(energy, capsys):
        import asyncio

        asyncio.run(acall(energy, capsys))

    def test_log(energy, caplog):
        logging.warning("before")

        def log():
            work()
            logging.warning("logged")

        energy(log)
        assert caplog.messages == ["before", "logged"]
        assert [line.split()[-1] for line in caplog.text.splitlines()] == ["before", "logged"]
        assert caplog.get_records("call") is caplog.records

    def test_warning(energy):
        def warn():
            work()
            warnings.warn("old", DeprecationWarning)

        with pytest.warns(DeprecationWarning) as warned:
            energy(warn)
        assert len(warned) == 1

    def test_default_warning(energy):
        energy(lambda: (work(), warnings.warn("shown once")))

    @marked
    def test_consumed(capsys, caplog):
        work()
        print("read")
        logging.warning("read")
        assert (capsys.readouterr().out, caplog.messages) == ("read\\n", ["read"])
        caplog.clear()

    @marked
    def test_recwarn(recwarn):
        work()
        warnings.warn("shown once at each place")
        assert len(recwarn) == 1

    @marked
    def test_property(request, record_property, record_testsuite_property):
        work()
        record_property("key", 1)
        record_testsuite_property("suite", 1)
        assert request.node.user_properties == [("key", 1)]

    @pytest.fixture
    def closed():
        yield
        assert len(opened) == 0

    @pytest.fixture
    def late():
        yield len(opened)

    @marked
    def test_finalizers(closed, request):
        assert request.getfixturevalue("late") == 0
        work()
        assert len(opened) == 0
        opened.append(1)
        request.addfinalizer(opened.pop)

    class TestCase(unittest.TestCase):
        @marked
        def test_cleanup(self):
            work()
            assert len(opened) == 0
            opened.append(1)
            self.addCleanup(opened.pop)
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_a_test_sees_a_single_repetition(project: Project, capture: str) -> None:
    """Its fixtures for output, log, warnings and properties hold what one call left."""
    project.sensor("update_period_s=1e-5")
    project.write("test_it.py", SEEN_ONCE)
    options = f"--capture={capture}", "--junitxml=junit.xml", "--log-file=log.txt"
    ran = project.energy("--energy-max-rounds=5", *options)
    assert ran.outcomes == {"passed": 14, "warnings": 2}
    assert ran.counts["measured"] == 14
    assert (project.path / "junit.xml").read_text().count('name="suite"') == 1
    assert [line.split()[-1] for line in project.log()] == ["before", "logged", "read"]
    if capture == "fd":
        assert project.run(*options).outcomes == ran.outcomes


FAILS = """
    import itertools, logging, warnings

    import pytest

    from conftest import SENSOR

    numbers = itertools.count(1)

    def broken():
        raise ValueError("broken finalizer")

    @pytest.mark.energy_budget("9 kJ")
    def test_finalizer(request):
        SENSOR.spend(0.2)
        request.addfinalizer(broken)

    def test_fails(energy):
        def work():
            SENSOR.spend(0.002, seconds=0.001)
            number = next(numbers)
            print("begins", number)
            logging.warning("logs %d", number)
            assert number < 250
            print("ends", number)

        print("before")
        energy(work)
"""


def test_a_failure_shows_its_repetition(project: Project) -> None:
    """A test that fails in the 250th repetition shows that one's output, and one error at its end.

    Another repetition's finalizer that fails is an error at the end of the test, as the last one's.
    """
    project.write("test_it.py", FAILS)
    ran = project.energy()
    assert ran.outcomes == {"failed": 1, "passed": 1, "errors": 1}
    assert [line for line in ran.lines if line.startswith(("before", "begins", "ends"))] == [
        "before",
        "begins 250",
    ]
    assert [line[-8:] for line in ran.lines if "WARNING " in line] == ["logs 250"]
    assert [line for line in ran.lines if line.startswith("the test failed in repetition 250 ")]
    assert ran.energy_lines[-2] == (
        "one repetition's output is shown of 2 tests, which ran their work up to 250 times"
    )


@pytest.mark.parametrize("capture", ["no", "tee-sys"])
def test_a_terminal_shows_the_first_repetition_and_the_failure(
    project: Project, capture: str
) -> None:
    """Output that pytest does not hold back appears as it is written, but once."""
    project.write("test_it.py", FAILS)
    ran = project.energy(f"--capture={capture}", "--log-cli-level=INFO")
    live = ran.lines[: ran.lines.index(next(line for line in ran.lines if "FAILURES" in line))]
    shown = [line for line in live if line.startswith(("begins", "ends"))]
    assert shown == ["begins 1", "ends 1", "begins 250"]
    assert [line[-6:] for line in live if "WARNING " in line] == ["logs 1"]


def test_quiet_work_is_reported_without_a_word(project: Project) -> None:
    """Nothing is said of repetitions if they left nothing."""
    project.write("test_it.py", "def test_works(energy, work): energy(work)")
    ran = project.energy("-rA")
    assert "repetition" not in ran.text


SUBTESTS = """
    import itertools

    import pytest

    from conftest import SENSOR

    marked = pytest.mark.energy_budget("9 kJ")
    numbers = itertools.count(1)

    @marked
    def test_passes(subtests):
        for index in range(3):
            with subtests.test(index=index):
                SENSOR.spend(0.002, seconds=0.001)

    @marked
    def test_fails(subtests):
        for index in range(3):
            with subtests.test(index=index):
                SENSOR.spend(0.002, seconds=0.001)
                assert index != 1

    @marked
    def test_fails_later(subtests):
        number = next(numbers)
        for index in range(3):
            with subtests.test(index=index):
                SENSOR.spend(0.002, seconds=0.001)
                assert (index, number) != (1, 50)
"""


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no subtests")
def test_subtests_are_reported_once(project: Project) -> None:
    """A failed one ends the measurement; those of a single repetition are counted."""
    project.sensor("update_period_s=1e-5")
    project.write("test_it.py", SUBTESTS)
    ran = project.energy("-v")
    assert ran.outcomes == {"failed": 4, "passed": 1, "subtests": 8}
    assert ran.text.count("SUBFAILED(index=1)") == 4
    assert ran.text.count(" - contains 1 failed subtest") == 2
    assert ran.verdicts["test_passes"] == "passed"
