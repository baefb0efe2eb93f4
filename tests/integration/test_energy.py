"""`--energy`: the joules measured are those spent, in every form of a test."""

from __future__ import annotations

import re

import pytest

from tests.integration.projects import Project

KNOWN = """
    import pytest


    def close(value):
        return pytest.approx(value, rel=1e-9)


    def test_call(energy, spend):
        def generate(joules, dram):
            spend(joules)
            spend(dram, "dram:0", seconds=0)
            return "ten tokens"

        energy.units(sample=4, token=lambda out: len(out))
        assert energy(generate, 1.5, dram=0.5) == "ten tokens"
        energy.quality(accuracy=0.94)
        result = energy.results["call"]
        assert result.joules == close(2.0)
        assert result.by_domain == {"cpu:0": close(1.5), "dram:0": close(0.5)}
        assert result.watts == close(20.0)
        assert result.seconds == close(0.1)
        assert result.per_unit == {"sample": close(0.5), "token": close(0.2)}
        assert result.interval == (close(2.0), close(2.0))
        assert len(result.rounds) == 5
        assert result.provenance.sensors == {"cpu:0": "fake", "dram:0": "fake"}
        assert not result.provenance.estimated
        assert result.verdict.outcome == "no baseline"
        assert result.quality == {"accuracy": 0.94}
        assert energy.enabled


    def test_short_calls(energy, spend):
        energy(spend, 0.001, seconds=0.0001)
        result = energy.results["call"]
        assert result.rounds[0].iterations >= 1000
        assert result.joules == close(0.001)
        assert result.seconds == close(0.0001)


    def test_names(energy, spend):
        assert energy.named("encode")(lambda: spend(1.0) or "x") == "x"
        energy.named("decode")(spend, 3.0)
        assert energy.results["encode"].joules == close(1.0)
        assert energy.results["decode"].joules == close(3.0)
        assert list(energy.results) == ["encode", "decode"]


    def test_pedantic(energy, spend):
        calls = []

        def make():
            spend(50.0)
            return 3.0

        def use(joules):
            calls.append(joules)
            spend(joules)
            return len(calls)

        def end(joules):
            ended.append(joules)
            spend(60.0)

        ended, more = [], {"setup": make, "teardown": end}
        last = energy.pedantic(use, rounds=7, warmup_rounds=2, iterations=2, **more)
        assert last == len(calls) >= (7 + 2) * 2
        assert ended == calls
        result = energy.results["call"]
        assert [round_.iterations for round_ in result.rounds] == [2] * 7
        assert result.joules == close(3.0)


    def test_loop(energy, spend):
        energy.units(request=8)
        for _ in energy.rounds():
            spend(70.0)
            with energy.measure("prefill"):
                spend(1.0)
            with energy.measure("decode"):
                spend(4.0)
        assert energy.results["prefill"].joules == close(1.0)
        assert energy.results["decode"].joules == close(4.0)
        assert energy.results["decode"].per_unit == {"request": close(0.5)}


    def test_unannounced(request, spend):
        energy = request.getfixturevalue("energy")
        energy(spend, 7.0)
        assert energy.results["call"].joules == close(7.0)


    def test_window(energy, spend):
        spend(70.0)
        with energy.measure("load"):
            spend(6.0)
        assert energy.results["load"].joules == close(6.0)
        assert len(energy.results["load"].rounds) == 1
        assert energy.results["load"].interval == pytest.approx((5.9532, 6.0468))
"""


def test_figures_are_what_was_spent(project: Project) -> None:
    """Every way to measure gives the joules spent inside it; the header says what measures."""
    project.write("test_it.py", KNOWN)
    ran = project.energy()
    assert ran.outcomes == {"passed": 7}
    assert {name: result.joules for name, result in ran.results.items()} == {
        "test_call": 2.0,
        "test_short_calls": 0.001,
        "test_names/encode": 1.0,
        "test_names/decode": 3.0,
        "test_pedantic": 3.0,
        "test_loop/prefill": 1.0,
        "test_loop/decode": 4.0,
        "test_unannounced": 7.0,
        "test_window/load": 6.0,
    }
    sensors, baselines, action, *_ = ran.energy_lines
    assert sensors == "sensed by fake (cpu:0, dram:0)"
    assert re.fullmatch(r"no baseline yet in baselines/[a-z0-9-]+-[0-9a-f]{8}", baselines)
    assert action == "an increase over +5 % fails, or warns if estimated"
    assert ran.closing == "9 measured, 0 compared: nothing was gated; 9 no baseline"


def test_collecting_measures_nothing(project: Project) -> None:
    """`--collect-only` has no closing line, no results and no failure."""
    project.write("test_it.py", "def test_it(energy): pass")
    ran = project.energy("--collect-only", "--energy-strict", "-q")
    assert ran.code == pytest.ExitCode.OK
    assert ran.energy_lines == []
    assert not (project.path / "results.json").exists()


WHOLE = """
    import os
    import unittest

    import pytest

    seen = set()


    @pytest.fixture
    def model(spend):
        spend(100.0)
        yield object()
        spend(100.0)


    @pytest.mark.energy_budget("9 J")
    def test_function(model, spend):
        seen.add(model)
        assert len(seen) == 1
        spend(1.0)


    @pytest.mark.energy_budget("9 J")
    @pytest.mark.parametrize("joules", [2.0, 3.0])
    def test_parametrized(joules, spend):
        spend(joules)


    @pytest.mark.energy_budget("9 J")
    class TestClass:
        def setup_method(self):
            self.joules = 4.0

        def test_method(self, spend):
            spend(self.joules)


    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def given(self, spend):
            self.spend = spend

        def setUp(self):
            self.spend(100.0)

        @pytest.mark.energy_budget("9 J")
        def test_case(self):
            self.spend(5.0)

        def test_unmarked(self):
            self.spend(5.0)


    class AsyncCase(unittest.IsolatedAsyncioTestCase):
        @pytest.fixture(autouse=True)
        def given(self, spend):
            self.spend = spend

        async def asyncSetUp(self):
            self.spend(100.0)

        @pytest.mark.energy_budget("9 J")
        async def test_async(self):
            self.spend(8.0)


    @pytest.mark.energy_budget("9 J", max_rounds=1)
    def test_once(spend):
        with open("log.txt", "a") as log:
            print("once", file=log)
        spend(6.0)
"""


def test_marked_tests_are_measured_whole(project: Project) -> None:
    """A marked function, method, parameter or TestCase is repeated, without its set-up."""
    project.write("test_it.py", WHOLE)
    project.write(
        "test_module.py",
        """
        import pytest

        pytestmark = pytest.mark.energy_budget("9 J")

        def test_of_module(spend):
            spend(7.0)
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"passed": 9}
    assert {name: (r.joules, len(r.rounds)) for name, r in ran.results.items()} == {
        "test_function": (1.0, 5),
        "test_parametrized[2.0]": (2.0, 5),
        "test_parametrized[3.0]": (3.0, 5),
        "TestClass.test_method": (4.0, 5),
        "TestCase.test_case": (5.0, 5),
        "AsyncCase.test_async": (8.0, 5),
        "test_once": (6.0, 1),
        "test_of_module": (7.0, 5),
    }
    assert project.log() == ["once"]
    assert ran.counts == {"measured": 8, "compared": 8, "passed": 8}


def test_mistakes_raise(project: Project) -> None:
    """Work that cannot be measured raises in the test, and the error names the fix."""
    project.write(
        "test_it.py",
        """
        import pytest


        def test_same_name(energy, work):
            energy(work)
            with pytest.raises(ValueError, match=r"'call' is measured twice in this test"):
                energy(work)


        def test_coroutine_function(energy):
            async def fetch():
                pass

            with pytest.raises(TypeError, match=r"await energy\\.acall\\(fetch, \\.\\.\\.\\)"):
                energy(fetch)


        def test_returns_a_coroutine(energy, spend):
            async def fetch():
                pass

            def begin():
                spend(1.0)
                return fetch()

            with pytest.raises(TypeError, match=r"await energy\\.acall\\(begin, \\.\\.\\.\\)"):
                energy(begin)


        def test_no_work(energy, work):
            with pytest.raises(ValueError, match=r"sample=0\\): expected a number > 0"):
                energy.units(sample=0)


        def test_no_window(energy):
            with pytest.raises(Exception, match=r"no window was opened in the loop"):
                for _ in energy.rounds():
                    pass


        def test_window_twice(energy, work):
            with pytest.raises(ValueError, match=r"'w' is measured twice in one round"):
                for _ in energy.rounds():
                    with energy.measure("w"):
                        work()
                    with energy.measure("w"):
                        work()


        def test_no_result_of_a_loop(energy, work):
            energy.units(token=lambda out: 1)
            with pytest.raises(Exception, match=r"but no windows have one; assign it in"):
                for _ in energy.rounds():
                    with energy.measure("w"):
                        work()


        def test_no_result_of_a_window(energy, work):
            energy.units(token=lambda out: 1)
            with pytest.raises(Exception, match=r"as window: ...; window.result = ..."):
                with energy.measure("w"):
                    work()


        def test_two_results_of_a_round(energy, work):
            energy.units(token=lambda out: 1)
            with pytest.raises(Exception, match=r"but 2 windows have one"):
                for _ in energy.rounds():
                    for name in ("v", "w"):
                        with energy.measure(name) as window:
                            work()
                        window.result = 1


        def test_some(energy, work):
            with pytest.raises(ValueError) as raised:
                for number in energy.rounds():
                    with energy.measure("train"):
                        work()
                    if number % 5 == 0:
                        with energy.measure("eval"):
                            work()
            assert str(raised.value) == (
                "energy.rounds(): 'eval' is not measured in every round; measure it in each, or "
                "in a loop of its own"
            )


        def test_not_closed(energy, work):
            with pytest.raises(ValueError, match="'eval' is not measured in every round"):
                for number in energy.rounds():
                    with energy.measure("train"):
                        work()
                    try:
                        with energy.measure("eval"):
                            work()
                            assert number == 0
                    except AssertionError:
                        pass

        NESTED = r"'?inner'? begins inside another measurement; use energy.rounds"


        def test_nested(energy, work):
            with pytest.raises(Exception, match=NESTED):
                energy(lambda: energy.named("inner")(work))
            energy.named("after")(work)
            assert energy.results["after"].joules == pytest.approx(2.0)


        def test_in_a_window(energy, work):
            with pytest.raises(Exception, match=NESTED):
                with energy.measure("outer"):
                    with energy.measure("inner"):
                        work()


        def test_after_one_that_raised(energy, work):
            with pytest.raises(ZeroDivisionError) as kept:
                with energy.measure("wrong"):
                    1 / 0
            with pytest.raises(ZeroDivisionError) as kept_too:
                energy.pedantic(lambda: 1 / 0)
            energy.named("after")(work)


        def test_after_a_loop_that_was_left(energy, work):
            for number in energy.rounds():
                with energy.measure("wrong"):
                    work()
                if number == 3:
                    break
            energy.named("after")(work)
        """,
    )
    assert project.energy().outcomes == {"passed": 15}


def test_units_that_no_measurement_counted(project: Project) -> None:
    """A unit that only the budget names, or that comes too late, is an error in one line."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("1 J", per="token")
        def test_budget(energy, work):
            energy(work)

        def test_late(energy, work):
            energy(work)
            energy.units(sample=4)
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"failed": 2}
    assert ran.failure("test_budget") == (
        "GreenopsError: energy_budget: per='token', but the test does not count this unit; "
        "declare it before the call: energy.units(token=...)"
    )
    late = "GreenopsError: energy.units(sample=...) came after the last measurement"
    assert ran.failure("test_late").startswith(late)
    assert "trial.py" not in ran.text


def test_failed_tests_keep_their_failure(project: Project) -> None:
    """A failed test keeps its failure; energy adds only in which repetition it failed."""
    project.write(
        "test_it.py",
        """
        import unittest

        import pytest


        def test_after(energy, spend):
            energy(spend, 3.0)
            assert "own failure" == ""


        @pytest.mark.energy_budget("1 J")
        def test_at_once():
            raise RuntimeError("at once")


        @pytest.mark.energy_budget("1 J")
        def test_later(spend, calls=[]):
            calls.append(1)
            spend(3.0)
            assert len(calls) < 3


        class TestCase(unittest.TestCase):
            @pytest.mark.energy_budget("1 J")
            def test_case(self):
                self.fail("of its own")
        """,
    )
    ran = project.energy("--energy-strict", "-v")
    assert ran.outcomes == {"failed": 4}
    summary = [line for line in ran.lines if line.startswith("FAILED ")]
    assert summary == [
        "FAILED test_it.py::test_after - AssertionError: assert 'own failure' == ''",
        "FAILED test_it.py::test_at_once - RuntimeError: at once",
        "FAILED test_it.py::test_later - assert 3 < 3",
        "FAILED test_it.py::TestCase::test_case - AssertionError: of its own",
    ]
    assert "EnergyBudgetExceeded" not in ran.text
    assert "EnergyUnproven" not in ran.text
    said = [line for line in ran.lines if line.startswith("the test failed in repetition 3 ")]
    assert len(said) == 1


def test_skips_and_expected_failures_are_kept(project: Project) -> None:
    """A skip stays a skip; a regression or an excess that a test expects is expected."""
    project.write(
        "test_it.py",
        """
        import pytest

        from pytest_greenops import EnergyBudgetExceeded


        @pytest.mark.energy_budget("1 J")
        def test_skips():
            pytest.skip("not here")


        @pytest.mark.xfail(raises=EnergyBudgetExceeded, strict=True)
        @pytest.mark.energy_budget("1 J")
        def test_expected(work):
            work()


        @pytest.mark.xfail(strict=True)
        @pytest.mark.energy_budget("1 J")
        def test_fails():
            assert False
        """,
    )
    ran = project.energy("-v")
    assert ran.outcomes == {"skipped": 1, "xfailed": 2}
    assert ran.verdicts == {"test_expected": "over budget"}
    assert ran.code == pytest.ExitCode.OK


def test_tests_that_are_not_measured_pass(project: Project) -> None:
    """An unreadable counter, or a fixture that is never called, is reported, never a zero."""
    project.sensor(more="SENSOR.fail()")
    project.write(
        "test_it.py",
        """
        def test_unreadable(energy, work): energy(work)
        def test_never_called(energy): pass
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"passed": 2}
    verdicts = {name: result.verdict for name, result in ran.results.items()}
    assert {name: (v.outcome.value, v.cause) for name, v in verdicts.items()} == {
        "test_unreadable": ("not measured", "cpu:0 could not be read"),
        "test_never_called": ("not measured", "the test never called energy"),
    }
    assert ran.counts == {"not measured": 2}


def test_counters_wrap(project: Project) -> None:
    """A counter that wraps inside a window loses no joules."""
    project.sensor('Domain("cpu:0", "cpu", range_uj=3_000_000, max_power_w=40), start_uj=2_999_999')
    project.write("test_it.py", "def test_it(energy, work): energy(work)")
    assert project.energy().results["test_it"].joules == 2.0


def test_units_are_counted_from_each_result(project: Project) -> None:
    """Each call, awaited call and round counts the units of its own result."""
    project.write(
        "test_it.py",
        """
        import asyncio
        import itertools

        import pytest


        @pytest.fixture
        def generate(energy, spend):
            energy.units(request=8, token=lambda count: count)
            counts = itertools.cycle([10, 20, 30, 40])

            def generate(*args):
                spend(1.0)
                return next(counts)

            return generate


        def tokens(energy, name="call"):
            return [round_.units for round_ in energy.results[name].rounds]


        def test_call(energy, generate):
            energy.pedantic(generate, rounds=1, iterations=4)
            assert tokens(energy) == [{"request": 32, "token": 100}]


        def test_setup(energy, generate):
            energy.pedantic(generate, setup=lambda: 1, rounds=1, iterations=4)
            assert tokens(energy) == [{"request": 32, "token": 100}]


        def test_await(energy, generate):
            async def fetch():
                return generate()

            asyncio.run(energy.acall(fetch))
            counted = [units["token"] for units in tokens(energy)]
            assert counted == [20, 30, 40, 10, 20]


        def test_rounds(energy, generate, work):
            for _ in energy.rounds():
                with energy.measure("prefill"):
                    work()
                with energy.measure("decode") as window:
                    out = generate()
                window.result = out
            counted = [units["token"] for units in tokens(energy, "decode")]
            assert counted == [20, 30, 40, 10, 20]
            assert tokens(energy, "prefill") == tokens(energy, "decode")


        def test_window(energy, generate):
            with energy.measure("decode") as window:
                window.result = generate()
            assert tokens(energy, "decode") == [{"request": 8, "token": 10}]
        """,
    )
    assert project.energy("--energy-max-rounds=5").outcomes == {"passed": 5}


def test_lazy_work_is_refused(project: Project) -> None:
    """A coroutine or generator function runs nothing: the error says how to run it."""
    project.write(
        "test_it.py",
        """
        import pytest


        async def fetch():
            pass


        def stream():
            yield 1


        async def astream():
            yield 1


        @pytest.mark.parametrize(
            "function, fix",
            [
                (fetch, r"write: await energy.acall\\(fetch, ...\\)"),
                (stream, r"write: energy\\(lambda: list\\(stream\\(...\\)\\)\\)"),
                (astream, r"await energy.acall\\(\\) of a coroutine function that loops over it"),
            ],
        )
        def test_lazy(energy, function, fix):
            with pytest.raises(TypeError, match=fix):
                energy(function)
            with pytest.raises(TypeError, match=fix):
                energy.named("other").pedantic(function, setup=lambda: ((), {}))
        """,
    )
    assert project.energy().outcomes == {"passed": 3}
    assert project.run().outcomes == {"passed": 3}


def test_a_failure_after_a_loop_that_was_left_is_plain(project: Project) -> None:
    """Only a failure inside a repetition is reported with its number."""
    project.write(
        "test_it.py",
        """
        def test_after(energy, work):
            for number in energy.rounds():
                with energy.measure("w"):
                    work()
                if number == 3:
                    break
            assert "own failure" == ""


        def test_inside(energy, work):
            for number in energy.rounds():
                with energy.measure("w"):
                    work()
                    assert number < 2
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"failed": 2}
    said = [line for line in ran.lines if line.startswith("the test failed in repetition ")]
    assert [line.split()[5] for line in said] == ["3"]


def test_settings_out_of_range_are_refused(project: Project) -> None:
    """Amounts of work may be numbers of any library; a wrong amount or count is named."""
    project.write(
        "test_it.py",
        r"""
        from decimal import Decimal
        from fractions import Fraction

        import pytest


        class Scalar:
            def __float__(self):
                return 64.0


        def test_amounts(energy, work):
            energy.units(sample=Scalar(), token=Decimal(2), word=Fraction(1, 2))
            energy(work)
            if energy.enabled:
                units = energy.results["call"].rounds[0].units
                assert units == {"sample": 64, "token": 2, "word": 0.5}


        @pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), "64", None, [1]])
        def test_no_amounts(energy, amount):
            with pytest.raises(ValueError, match=r"sample=.*\): expected a number"):
                energy.units(sample=amount)


        def test_taken(energy):
            with pytest.raises(ValueError, match="the name 'call' is reserved"):
                energy.units(call=8)


        @pytest.mark.parametrize(
            "setting, least",
            [
                ({"iterations": -1}, 1),
                ({"iterations": 0}, 1),
                ({"iterations": 1.5}, 1),
                ({"rounds": 0}, 1),
                ({"warmup_rounds": -1}, 0),
            ],
        )
        def test_pedantic(energy, work, setting, least):
            [(name, value)] = setting.items()
            with pytest.raises(ValueError) as raised:
                energy.pedantic(work, **setting)
            expected = f"energy.pedantic({name}={value}): expected a whole number >= {least}"
            assert str(raised.value) == expected
            energy.pedantic(work, rounds=1, warmup_rounds=0, iterations=1)
        """,
    )
    assert project.energy().outcomes == {"passed": 14}
    assert project.run().outcomes == {"passed": 14}
