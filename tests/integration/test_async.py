"""Coroutines, with both plugins that run async tests."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, NOISY, Project

ASYNC = """
    import asyncio

    import pytest

    {mark}


    @pytest.fixture
    def model(spend):
        spend(100.0)
        return object()


    async def test_calls(energy, spend):
        async def fetch(joules):
            await asyncio.sleep(0)
            spend(joules)
            return "page"

        energy.units(byte=lambda page: len(page))
        assert await energy.acall(fetch, 2.0) == "page"
        await energy.named("again").acall(fetch, joules=3.0)
        assert energy.results["call"].joules == pytest.approx(2.0)
        assert energy.results["call"].per_unit == {{"byte": pytest.approx(0.5)}}


    @pytest.mark.energy_budget("9 J")
    async def test_whole(model, spend, seen=set()):
        seen.add(model)
        assert len(seen) == 1
        await asyncio.sleep(0)
        spend(4.0)


    @pytest.mark.energy_budget("1 J")
    async def test_over(spend):
        spend(5.0)


    @pytest.mark.energy_budget("9 J")
    class TestClass:
        async def test_method(self, spend):
            await asyncio.sleep(0)
            spend(6.0)
"""


@pytest.mark.parametrize(
    ("plugin", "mark"),
    [("asyncio", "pytestmark = pytest.mark.asyncio"), ("anyio", "pytestmark = pytest.mark.anyio")],
)
def test_async_tests_are_measured(project: Project, plugin: str, mark: str) -> None:
    """`await energy.acall` and whole async tests report what was spent, and fail over budget."""
    project.write("test_it.py", ASYNC.format(mark=mark))
    project.sensor(more="@pytest.fixture\ndef anyio_backend(): return 'asyncio'")
    ran = project.energy("-p", plugin, *ALONE)
    assert ran.outcomes == {"passed": 3, "failed": 1}
    assert {name: (result.joules, len(result.rounds)) for name, result in ran.results.items()} == {
        "test_calls": (2.0, 5),
        "test_calls/again": (3.0, 5),
        "test_whole": (4.0, 5),
        "test_over": (5.0, 5),
        "TestClass.test_method": (6.0, 5),
    }
    ran.stdout.fnmatch_lines(["EnergyBudgetExceeded: call used 5.00 J, budget 1.00 J *"])


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async_tests_run_once_unmeasured(project: Project, plugin: str) -> None:
    """Without `--energy` each coroutine is awaited once."""
    project.write(
        "test_it.py",
        f"""
        import pytest

        pytestmark = pytest.mark.{plugin}
        awaited = []

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_calls(energy):
            async def fetch():
                awaited.append("call")
                return 7

            assert await energy.acall(fetch) == 7

        @pytest.mark.energy_budget("9 J")
        async def test_whole():
            awaited.append("whole")

        def test_both_ran():
            assert awaited == ["call", "whole"]
        """,
    )
    ran = project.run("-p", plugin)
    assert ran.outcomes["passed"] == 3
    assert ran.closing == f"1 budget not enforced; measure it: pytest --energy -p {plugin}"


@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_async_tests_have_fresh_sessions(grown: Project, plugin: str) -> None:
    """A coroutine whose verdict is open is measured once more in a fresh process."""
    grown.sensor(NOISY, more="@pytest.fixture\ndef anyio_backend(): return 'asyncio'")
    grown.write(
        "test_it.py",
        f"""
        import asyncio

        import pytest

        @pytest.mark.{plugin}
        async def test_works(energy, work):
            async def works():
                await asyncio.sleep(0)
                work()

            await energy.acall(works)
        """,
    )
    ran = grown.energy("-p", plugin, joules=2.1)
    assert len(ran.results["test_works"].fresh) == 1
    assert ran.results["test_works"].checks == ()
