"""Who has the handle `energy`, in which way, and until when."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

WAYS = """
    import pytest


    @pytest.fixture
    def bench(energy):
        return lambda function, *args: energy.named("bench")(function, *args)


    @pytest.fixture
    def loaded(energy, spend):
        energy.named("load")(spend, 5.0)


    @pytest.fixture
    def units(energy):
        energy.units(sample=4)


    @pytest.mark.energy_budget("9 J")
    def test_by_a_fixture(bench, spend):
        bench(spend, 2.0)


    @pytest.mark.energy_budget("9 J")
    def test_whole_with_units(units, spend):
        spend(3.0)


    @pytest.mark.energy_budget("9 J")
    def test_in_the_set_up(loaded, spend):
        spend(3.0)


    @pytest.mark.energy_budget("9 J")
    def test_by_name(request, spend, capsys):
        print("once")
        spend(100.0)
        handle = request.getfixturevalue("energy")
        handle(spend, 4.0)
        with handle.measure("window"):
            spend(1.0)
        spend(100.0)
        assert capsys.readouterr().out == "once\\n"


    @pytest.mark.energy_budget("9 J", max_rounds=1)
    def test_by_name_once(request, spend):
        handle = request.getfixturevalue("energy")
        for _ in handle.rounds():
            with handle.measure("loop"):
                spend(6.0)


    @pytest.mark.energy_budget("9 J")
    def test_fails_by_itself(bench, spend):
        bench(spend, 2.0)
        assert spend is None
"""


def test_a_marked_test_measures_by_the_handle_that_it_gets(project: Project) -> None:
    """A test that uses a handle from a fixture, or by name, is not measured as a whole as well."""
    project.write("test_it.py", WAYS)
    ran = project.energy()
    assert ran.outcomes == {"passed": 5, "failed": 1}
    assert {name: result.joules for name, result in ran.results.items()} == pytest.approx(
        {
            "test_by_a_fixture/bench": 2.0,
            "test_whole_with_units": 3.0,
            "test_in_the_set_up/load": 5.0,
            "test_by_name": 4.0,
            "test_by_name/window": 1.0,
            "test_by_name_once/loop": 6.0,
            "test_fails_by_itself/bench": 2.0,
        }
    )
    assert ran.results["test_whole_with_units"].per_unit == {"sample": pytest.approx(0.75)}
    assert "in repetition" not in ran.text
    assert project.run().outcomes == ran.outcomes


OTHERS = """
    import pytest


    @pytest.mark.parametrize("energy", [1.0, 2.0])
    def test_level(energy):
        assert energy in (1.0, 2.0)


    class TestOwn:
        @pytest.fixture
        def energy(self):
            return 3.0

        def test_own(self, energy):
            assert energy == 3.0

        @pytest.mark.energy_budget("9 J")
        def test_marked(self, energy, spend):
            spend(energy)


    class TestWrapped:
        @pytest.fixture
        def energy(self, energy):
            return energy.named("wrapped")

        def test_wrapped(self, energy, spend):
            energy(spend, 2.0)
"""


def test_only_our_fixture_makes_an_energy_test(project: Project) -> None:
    """A parameter or a fixture of the project may have the name `energy` too."""
    project.write("test_it.py", OTHERS)
    ran = project.energy("--energy-strict", "--energy-save")
    assert ran.outcomes == {"passed": 5}
    assert {name: result.joules for name, result in ran.results.items()} == {
        "TestOwn.test_marked": 3.0,
        "TestWrapped.test_wrapped/wrapped": 2.0,
    }
    assert project.run("--energy-skip").outcomes == {"passed": 3, "deselected": 2}
    assert project.run("--energy-only").outcomes == {"passed": 2, "deselected": 3}


LATE = """
    import pytest

    kept = []


    @pytest.fixture
    def cleanup(energy, spend):
        yield
        energy.named("cleanup")(spend, 1.0)


    @pytest.fixture
    def late_quality(energy):
        yield
        energy.quality(accuracy=0.1)


    def test_cleanup(cleanup, energy, spend):
        kept.append(energy)
        energy(spend, 2.0)


    def test_quality(late_quality, energy, spend):
        energy.quality(accuracy=0.9)
        energy(spend, 2.0)


    def test_another():
        with pytest.raises(Exception, match="test_cleanup has ended, and its results are final"):
            kept[0].named("another")(len, "")
"""


def test_results_are_final_when_the_test_has_ended(project: Project) -> None:
    """What a teardown measures or reports is an error, in a run that measures nothing too."""
    project.write("test_it.py", LATE)
    ran = project.save()
    assert {name: result.joules for name, result in ran.results.items()} == {
        "test_cleanup": 2.0,
        "test_quality": 2.0,
    }
    assert ran.results["test_quality"].quality == {"accuracy": 0.9}
    for each in (ran, project.run()):
        assert each.outcomes == {"passed": 3, "errors": 2}
        assert "test_quality has ended, and its results are final; measure in the test" in each.text


LEFT = """
    def test_it(energy, spend):
        for number in energy.rounds():
            if number == int(open("rounds.txt").read()):
                break
            with energy.measure("part"):
                spend(2.0)
        assert number == 99
"""


def test_an_additional_round_that_is_left_is_not_blamed(project: Project) -> None:
    """The loop is left in the round of `--energy-explain`; a later assertion is the test's own."""
    project.write("test_it.py", LEFT)
    project.write("rounds.txt", "999")
    whole = project.energy()
    calls = len(whole.results["test_it/part"].rounds) + 1  # and the warm-up
    project.write("rounds.txt", str(calls))
    ran = project.energy("--energy-explain")
    assert ran.outcomes == {"failed": 1}
    assert "additional call of --energy-explain" not in ran.text
    assert ran.results["test_it/part"].joules == 2.0


ITEMS = """
    import pytest
    from pathlib import Path


    class File(pytest.File):
        def collect(self):
            yield Item.from_parent(self, name="a.b")


    class Item(pytest.Item):
        def runtest(self):
            pass


    def pytest_collect_file(file_path, parent):
        if file_path.suffix == ".yaml":
            return File.from_parent(parent, path=file_path)


    def pytest_collection_modifyitems(items):
        for item in items:
            item.add_marker(pytest.mark.energy_budget("1 J"))
"""


def test_an_item_that_is_no_function_is_not_measured(project: Project) -> None:
    """A marked doctest or item of another file says so, by the id that pytest runs it by."""
    project.sensor(more=ITEMS)
    project.write("mod.py", 'def f():\n    """\n    >>> 1\n    1\n    """\n')
    project.write("it.yaml", "")
    ran = project.energy("--doctest-modules", "mod.py", "it.yaml")
    assert ran.outcomes == {"passed": 2}
    assert ran.verdicts == {"mod.f": "not measured", "a.b": "not measured"}
    results = ran.document.results
    assert [result.test.node_id for result in results] == ["mod.py::mod.f", "it.yaml::a.b"]
    causes = [result.verdict.cause for result in results]
    assert causes[0] == "it is a DoctestItem; only test functions and methods can be measured"
    assert causes[1] == "it is a Item; only test functions and methods can be measured"


def test_a_fresh_process_finds_a_test_in_a_folder_with_brackets(project: Project) -> None:
    """In pytest's arguments `[` begins parameters, also inside a path."""
    inner = project.path / "my proj [1]" / "tests [2]"
    text = "def test_works(energy, work):\n    energy(work)\n\n\ndef test_other(): pass\n"
    project.write(f"{inner}/test_it.py", text)
    project.write(f"{inner}/test_more.py", 'print("imported", file=open("log.txt", "a"))')
    project.monkeypatch.chdir(inner.parent)
    results = f"--energy-json={project.path}/results.json"
    ran = project.energy(results, "--energy-sessions=2", ".", "--ignore-glob=*broken*")
    assert "fresh session" not in ran.text
    assert len(ran.results["test_works"].fresh) == 1
    assert (inner.parent / "log.txt").read_text() == "imported\n"


def test_one_result_is_alive(project: Project) -> None:
    """A call finds no result of an earlier call in memory, however often it is repeated."""
    project.write(
        "test_it.py",
        """
        ALIVE = []

        class Result:
            def __init__(self):
                assert not ALIVE
                ALIVE.append(self.__class__)

            def __del__(self):
                ALIVE.pop()

        def make(spend):
            spend(2.0)
            return Result()

        async def make_later(spend):
            return make(spend)

        def test_call(energy, spend):
            assert energy(make, spend)

        def test_pedantic(energy, spend):
            assert energy.pedantic(make, (spend,), rounds=2, iterations=3)

        async def test_coroutine(energy, spend):
            assert await energy.acall(make_later, spend)
        """,
    )
    ran = project.energy("-p", "asyncio", "-o", "asyncio_mode=auto")
    assert ran.outcomes == {"passed": 3}
    assert {result.joules for result in ran.results.values()} == {2.0}
