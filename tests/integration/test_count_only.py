"""`--energy-count-only`: the work of torch is counted, and no joules are measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_greenops.report.reasons import reason
from tests.integration import commands
from tests.integration.counted_projects import FORWARD, MODEL, OF_ENERGY, count, flop, junit, works
from tests.integration.projects import Project

pytest.importorskip("torch", reason="needs torch: make test-studies")

#: Works that each count their own calls, and print how many there were.
CALLS = """
    import pytest
    import torch

    def called(energy, call):
        calls = []

        def work():
            calls.append(1)
            return torch.ones(2) + 1

        call(work)
        print("\\ncalls:", call.__name__, len(calls))

    def test_call(energy):
        def plain(work):
            energy(work)

        called(energy, plain)

    def test_pedantic(energy):
        def pedantic(work):
            energy.pedantic(work, rounds=20, warmup_rounds=5, iterations=3)

        called(energy, pedantic)

    def test_window(energy):
        def window(work):
            with energy.measure("window"):
                work()

        called(energy, window)

    def test_loop(energy):
        def loop(work):
            for _ in energy.rounds():
                with energy.measure("loop"):
                    work()

        called(energy, loop)

    WHOLE = []

    @pytest.mark.energy_budget(max_flop="1 GFLOP")
    def test_whole():
        WHOLE.append(torch.ones(2) + 1)

    @pytest.mark.energy_budget(max_flop="1 GFLOP", max_rounds=1)
    def test_whole_once():
        print("\\ncalls: whole", len(WHOLE))
        WHOLE.append(torch.ones(2) + 1)

    def test_end():
        print("\\ncalls: once", len(WHOLE))
"""


def test_work_over_its_limit_is_not_saved(project: Project) -> None:
    """Like an exceeded budget of energy, even where it only warns."""
    project.write("test_it.py", SMALL)
    ran = count(project, "--energy-save", "--energy-action=warn", "-k", "over or plain")
    assert (ran.code, ran.outcomes) == (0, {"passed": 2, "deselected": 4})
    assert "not saved: test_it.py::test_over: over its limit" in ran.energy_lines
    assert "1 over budget (work, warned)" in ran.closing
    assert list((project.path / "baselines").rglob("*.json")) == []


def test_joules_are_not_needed(project: Project) -> None:
    """Limits of energy, power and quality need no joules here, not even in a strict run."""
    budget = 'energy_budget("1 J", max_power="1 W", max_quality_drop="1%", max_increase="1%")'
    test = f"""{MODEL}

@pytest.mark.{budget}
def test_forward(energy, model, batch):
    energy(model, batch)
    energy.quality(accuracy=0.5)
"""
    project.write("test_it.py", test)
    assert count(project, "--energy-save-new").closing.endswith("; work of 1 measurement saved")
    again = count(project, "--energy-save-new")
    assert "nothing was saved: every test has a baseline already" in again.energy_lines
    ran = count(project, "--energy-strict")
    assert (ran.code, ran.verdicts) == (0, {"test_forward": "passed"})


def test_benchmarks_are_counted(project: Project) -> None:
    """With `--energy-benchmarks` the work of a benchmark is counted, as often as it runs."""
    project.write(
        "test_it.py",
        MODEL
        + """
def test_call(benchmark, model, batch):
    benchmark(model, batch)

def test_once(benchmark, model, batch):
    benchmark.pedantic(model, [batch])
        """,
    )
    found = flop(count(project, "--energy-benchmarks"))
    assert found.keys() == {"test_call", "test_once"}
    assert set(found.values()) == {2 * 2 * 512 * 1024 * 1024}


def test_work_runs_a_few_times(project: Project) -> None:
    """Four times, whatever its rounds; once where it must: no other call is added."""
    project.write("test_it.py", CALLS)
    ran = count(project, "-s")
    assert ran.outcomes == {"passed": 7}
    found = [line.split()[1:] for line in ran.lines if line.startswith("calls: ")]
    expected = {"plain": 4, "pedantic": 4, "window": 1, "loop": 4, "whole": 4, "once": 5}
    assert {name: int(number) for name, number in found} == expected
    assert all(not result.rounds for result in ran.results.values())
    once = ran.results["test_window/window"]
    assert once.work is not None
    assert once.work.coverage.notes == ("counted once: its work runs once only",)


def test_a_gate_without_joules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves, fails, is accepted and passes as it advises; no sensor is opened."""
    project.sensor(more="SENSOR.read = SENSOR.close = None\nSENSOR.spend = lambda joules: None")
    project.write("test_it.py", FORWARD)
    first = count(project)
    assert first.energy_lines[:3] == [
        "counts the work of torch, and measures no joules",
        "compares with the work in baselines/work",
        "more than +0.5 % work fails",
    ]
    assert "no work is accepted yet; save it:" in first.text
    assert "1 counted, 0 compared: nothing was gated; 1 no baseline" in first.closing
    saved = count(project, "--energy-save")
    assert saved.closing.endswith("; work of 1 measurement saved")
    assert "nothing was saved" not in saved.text
    [file] = (project.path / "baselines").rglob("*.json")
    assert file == project.path / "baselines/work/test_it.py/test_forward.json"
    monkeypatch.setenv("DTYPE", "float64")
    ran = count(project, "--junitxml=junit.xml")
    assert (ran.code, ran.outcomes) == (1, {"failed": 1})
    assert ran.closing == "1 counted, 1 compared: 0 passed, 1 regressed (work)"
    assert "try again       pytest --energy-count-only test_it.py::test_forward" in ran.lines
    advised = "pytest --energy-count-only --energy-save test_it.py::test_forward"
    assert f"accept it       {advised}" in ran.lines
    [failure] = junit(project).iter("failure")
    message = failure.get("message", "").replace(" -p greenops", "")
    assert message.endswith(f"Accept it: {advised}")
    assert count(project, *advised.split()[1:]).closing.endswith("work of 1 measurement saved")
    ran = count(project)
    assert (ran.code, ran.verdicts) == (0, {"test_forward": "passed"})
    monkeypatch.delenv("DTYPE")
    ran = count(project)
    assert (ran.code, ran.verdicts) == (0, {"test_forward": "improved"})
    assert "1 improved" in ran.closing
    [result] = ran.results.values()
    assert reason(result).endswith(
        "; save the improvement: pytest --energy-save test_it.py::test_forward"
    )


SUITE = f"""{MODEL}

@pytest.mark.parametrize("number", range(4))
def test_many(energy, model, batch, number):
    energy(model, batch)


def test_plain(energy):
    energy(sum, [1, 2])


@pytest.mark.energy_budget(max_flop="2 GFLOP")
def test_over(model, batch):
    model(batch)
"""
SMALL = SUITE.replace("1024", "64").replace("2 GFLOP", "8 MFLOP")
COUNTED = {f"test_many[{number}]": 2 * 2 * 512 * 64 * 64 for number in range(4)}
COUNTED |= {"test_plain": 0, "test_over": 8_388_608}


def test_workers_and_tracers_change_no_count(project: Project) -> None:
    """`-n2`, coverage and a profile function: the results are those of a plain run."""
    pytest.importorskip("xdist")
    project.write("test_it.py", SMALL)
    count(project, "--energy-save", "--deselect=test_it.py::test_over")
    for options in (
        ("-p", "xdist", "-n2", "--junitxml=junit.xml"),
        ("-p", "pytest_cov", "--cov=.", "--energy-strict", "-k", "not plain"),
    ):
        ran = count(project, *options)
        assert flop(ran) == {n: c for n, c in COUNTED.items() if n in ran.results}
        assert {works(ran)[name] for name in works(ran) if "many" in name} == {"same work"}
        assert ran.outcomes["failed"] == 1
        assert "call does 8.39 MFLOP (limit 8 MFLOP)" in ran.failure("test_over")
        assert "5 compared: 4 passed, 0 regressed, 1 over budget (work)" in ran.closing
    [result] = [each for each in ran.document.results if each.test.name == "test_many[0]"]
    assert result.work is not None
    assert [each.name for each in result.work.operators] == ["aten.addmm", "aten.t"]
    assert result.work.modules["0.0"].calls == 1
    assert {"energy.work", "energy.work_flop"} <= {
        each.get("name") for each in junit(project).iter("property")
    }


def test_no_output_has_a_unit_of_energy(project: Project) -> None:
    """Neither the terminal nor a file makes joules, watts or grams of counted work."""
    project.write("test_it.py", SMALL)
    project.write("pytest.ini", "[pytest]\nenergy_carbon_intensity = 400 g/kWh\n")
    shown = [count(project, "--energy-save", option).text for option in ("-v", "-q")]
    project.monkeypatch.setenv("LAYERS", "3")
    shown += [count(project, option).text for option in ("-v", "-q", "-rA")]
    count(project, "--junitxml=junit.xml")
    shown += [each.get("value", "") for each in junit(project).iter("property")]
    before = project.path / "before.json"
    project.monkeypatch.delenv("LAYERS")
    (project.path / "results.json").rename(before)
    shown += [count(project, "--energy-explain").text]
    shown += [path.read_text() for path in (project.path / "baselines").rglob("*.json")]
    for command in (
        ("show",),
        ("compare", "results.json", "before.json"),
        ("merge", "merged.json", "before.json", "results.json"),
        ("merge", "other", "baselines"),
        ("prune",),
    ):
        ran = commands.run(project.path, *command)
        assert ran.out or ran.err, command
        shown += [ran.out, ran.err]
    assert [found.group() for text in shown for found in OF_ENERGY.finditer(text)] == []
    document = json.loads((project.path / "results.json").read_text())
    keys = {key for result in document["results"] for key in result}
    assert keys.isdisjoint({"joules", "watts", "grams", "by_domain", "rounds", "per_unit"})
    names = [each.get("name", "") for each in junit(project).iter("property")]
    assert [name for name in names if "joules" in name or "watts" in name or "gram" in name] == []


def test_the_pattern_of_units_finds_them() -> None:
    """It finds what the plugin prints of joules, watts and grams, and no count."""
    energy = "2.00 J", "1.5 mJ/token", "20.0 W", "350 mg CO2e", "2 g", "5 Wh", "0 J", "3 kJ, more"
    assert [text for text in energy if not OF_ENERGY.search(text)] == []
    counts = "2.15 GFLOP", "8.39 MFLOP", "4.19 MB moved", "8 MB", "28 calls", "4 warnings", "3 go"
    assert [text for text in counts if OF_ENERGY.search(text)] == []


def test_without_torch_nothing_is_counted(project: Project) -> None:
    """The suite passes once through, the cause is shown, and `--energy-save` says what failed."""
    project.write("test_it.py", "def test_works(energy, work):\n    energy(work)\n    print('x')\n")
    ran = count(project, "--energy-save")
    assert (ran.code, works(ran)) == (0, {"test_works": "not counted"})
    assert "torch is not loaded" in ran.text
    assert "nothing was saved: no work was counted" in ran.energy_lines
    assert list((project.path / "baselines").rglob("*.json")) == []
    strict = count(project, "--energy-strict")
    assert (strict.code, strict.outcomes) == (1, {"failed": 1})


def test_sessions_are_refused(project: Project) -> None:
    """The message names both options."""
    ran = count(project, "--energy-sessions=2")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    refused = "--energy-count-only measures no joules, which --energy-sessions needs: use one"
    assert f"ERROR: {refused}" in ran.errors


def test_work_by_layer(project: Project) -> None:
    """With `--energy-explain` there is a table of the work by layer, without joules."""
    project.write("test_it.py", FORWARD)
    first = count(project, "--energy-save", "--energy-explain")
    assert "where the work goes: test_it.py::test_forward" in first.lines
    assert "    0.0  1.07 GFLOP  8.39 MB moved  1 call" in first.lines
    project.monkeypatch.setenv("LAYERS", "3")
    ran = count(project, "--energy-explain")
    assert "    2.0  1.07 GFLOP  8.39 MB moved  1 call  new" in ran.lines
    assert "    0.0  1.07 GFLOP  8.39 MB moved  1 call  same work" in ran.lines
    assert OF_ENERGY.search(ran.text) is None
    work = ran.results["test_forward"].verdict.work
    assert work is not None
    assert {each.name: each.is_new for each in work.layers} == {
        "2.0": True,
        "0.0": False,
        "1.0": False,
    }


def test_commands_read_files_with_work(project: Project, tmp_path: Path) -> None:
    """`schema` describes them, and `compare`, `show`, `merge` and `prune` keep what they have."""
    jsonschema = pytest.importorskip("jsonschema")
    project.write("test_it.py", SMALL)
    count(project, "--energy-save")
    a = project.path / "a.json"
    (project.path / "results.json").rename(a)
    schema = json.loads(commands.run(project.path, "schema", "results").out)
    jsonschema.validate(json.loads(a.read_text()), schema)
    schema = json.loads(commands.run(project.path, "schema", "work").out)
    for file in (project.path / "baselines/work").rglob("*.json"):
        jsonschema.validate(json.loads(file.read_text()), schema)
    project.monkeypatch.setenv("LAYERS", "3")
    count(project)
    compared = commands.run(project.path, "compare", "a.json", "results.json")
    print(compared.out, compared.err)
    assert (compared.code, compared.err) == (1, "")
    more = "call does +50 % work (limit +0.5 %): aten.addmm float32 2 -> 3 calls, +4.19 MFLOP, in"
    assert more in " ".join(compared.out.split())
    assert compared.lines[-1].startswith("energy: 5 counted, 5 compared: 0 passed, 5 regressed (w")
    assert commands.run(project.path, "compare", "a.json", "a.json").code == 0
    shown = commands.run(project.path, "show")
    print(shown.out, shown.err)
    assert (shown.code, shown.err) == (0, "")
    assert "energy: 4 measurements with accepted work" in shown.lines
    assert [line.split()[:3] for line in shown.lines if line.startswith("test_many[2]")] == [
        ["test_many[2]", "8.39", "MFLOP"]
    ]
    assert "test_many[1]" not in commands.run(project.path, "show", "many[2]").out
    merged = commands.run(project.path, "merge", "merged.json", "a.json", "results.json")
    assert (merged.code, merged.err) == (0, "")
    moved = commands.run(project.path, "merge", "other", "baselines")
    assert "energy: 4 files of accepted work: 4 new or changed in other" in moved.lines
    project.write("test_it.py", SMALL.replace("range(4)", "[0]"))
    assert commands.run(project.path, "prune").lines[-1] == "energy: 3 of 4 baselines removed"
    [left] = (project.path / "baselines").rglob("*.json")
    assert left.name == "test_many[0].json"


def test_reading_joules_skips_the_rest(project: Project) -> None:
    """The work before is judged and saved; what was counted can be read."""
    project.write(
        "test_it.py",
        f"""{MODEL}

def test_reads(energy, model, batch):
    energy(model, batch)
    result = energy.results["call"]
    assert result.work.totals.calls == len(model)
    assert result.verdict.outcome != "inconclusive"
    assert result.joules < 3
""",
    )
    ran = count(project, "--energy-save", "-rs")
    assert (ran.code, ran.outcomes) == (0, {"skipped": 1})
    assert "reads energy.results['call'].joules, which --energy-count-only does not" in ran.text
    assert ran.closing.endswith("; work of 1 measurement saved")
    assert works(count(project)) == {"test_reads": "same work"}
    project.monkeypatch.setenv("LAYERS", "3")
    ran = count(project)
    assert (ran.code, ran.outcomes) == (1, {"failed": 1})
    assert "EnergyWorkIncreased: call does +50 % work" in ran.failure("test_reads")


def test_an_operator_without_a_formula_is_named(project: Project) -> None:
    """Where it takes over 5 % of the time, the output says that its FLOPs are unknown."""
    project.write(
        "test_it.py",
        """
        import torch


        @torch.library.custom_op("mine::gram", mutates_args=())
        def gram(data: torch.Tensor) -> torch.Tensor:
            return data @ data.mT


        def test_gram(energy):
            data = torch.ones(1024, 1024)
            energy(lambda: gram(data + 1))
        """,
    )
    ran = count(project)
    assert any(line.strip() == "work  FLOP unknown of mine.gram" for line in ran.lines)
    work = ran.results["test_gram"].work
    assert work is not None
    assert [(o.name, o.amount.flop) for o in work.operators if "mine" in o.name] == [
        ("mine.gram", 0)
    ]
