"""`--energy-count`: the work of torch, counted beside the joules of the same test."""

from __future__ import annotations

import pytest

from tests.integration.counted_projects import (
    COVERED,
    FORWARD,
    MODEL,
    MORE_J,
    OPEN_J,
    estimated,
    flop,
    measured,
    works,
)
from tests.integration.projects import ALONE, Project

pytest.importorskip("torch", reason="needs torch: make test-studies")

#: FLOP of a layer of the model.
LAYER = 2 * 512 * 1024**2


def test_another_dtype_fails_in_the_second_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run saves, and the next fails by the count although its joules are the same."""
    saved = estimated(project).save(*ALONE)
    assert saved.closing.endswith("1 baseline saved, and the work of 1")
    assert (project.path / "baselines/work/test_it.py/test_forward.json").is_file()
    monkeypatch.setenv("DTYPE", "float64")
    ran = measured(project)
    assert (ran.code, works(ran)) == (1, {"test_forward": "more work"})
    first, *facts = ran.failure("test_forward").splitlines()
    assert first.startswith("EnergyWorkIncreased: call does +")
    assert "work (limit +0.5 %): aten.addmm float32 -> float64: 2 calls, +" in first
    assert [line for line in facts if line.startswith("its energy      passed")]
    ran.stdout.fnmatch_lines(["test_it.py J *", "MORE WORK test_it.py::test_forward - Energy*"])
    assert "1 regressed (work)" in ran.closing
    again = "pytest -o energy_fresh_process=false {} test_it.py::test_forward"
    assert f"try again       {again.format('--energy')}" in facts
    assert f"accept it       {again.format('--energy-save')}" in facts
    both = measured(project, joules=MORE_J)
    assert both.failure("test_forward").startswith("EnergyWorkIncreased: call does +")
    assert "its energy      regressed: +200 % (" in both.text
    assert "1 regressed (work)" in both.closing
    accepted = project.save(*ALONE)
    assert accepted.code == 0
    assert "1 regressed (work, accepted)" in accepted.closing
    ran = measured(project)
    assert (ran.verdicts, works(ran)) == ({"test_forward": "passed"}, {"test_forward": "same work"})


def test_a_layer_more_is_named_and_one_less_only_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More work names its module; less work passes, and so does more under another limit."""
    estimated(project).save(*ALONE)
    monkeypatch.setenv("LAYERS", "3")
    ran = measured(project)
    assert "aten.addmm float32 2 -> 3 calls, +1.07 GFLOP, in 2.0" in ran.failure("test_forward")
    assert flop(ran) == {"test_forward": 3 * LAYER}
    work = ran.results["test_forward"].verdict.work
    assert work is not None
    assert work.difference is not None
    assert work.difference.before.all_flop == 2 * LAYER
    rows = {row.name: row for row in work.difference.operators}
    mm = rows["aten.addmm float32"]
    assert (mm.before.flop, mm.now.flop) == (2 * LAYER, 3 * LAYER)
    assert sum(row.share for row in rows.values()) == pytest.approx(work.relative)
    [module] = work.difference.modules
    assert (module.name, module.before.flop, module.now.flop) == ("2.0", 0, LAYER)
    assert module.share == pytest.approx(work.relative)
    budget = '@pytest.mark.energy_budget(max_work="60%")\ndef test_forward'
    project.write("test_it.py", FORWARD.replace("def test_forward", budget))
    ran = measured(project)
    assert (ran.code, works(ran)) == (0, {"test_forward": "changed work"})
    monkeypatch.setenv("LAYERS", "1")
    project.write("test_it.py", FORWARD)
    ran = measured(project)
    assert (ran.code, ran.verdicts) == (0, {"test_forward": "passed"})
    assert works(ran) == {"test_forward": "less work"}
    ran.stdout.fnmatch_lines(["*work  -50 %: 1.07 GFLOP; covers *"])


def test_estimated_joules_that_are_open_pass_with_the_same_work(project: Project) -> None:
    """They do not in a strict run; joules that regressed are annotated."""
    estimated(project, more=COVERED).save(*ALONE)
    ran = measured(project, joules=OPEN_J)
    assert ran.verdicts == {"test_forward": "passed"}
    ran.stdout.fnmatch_lines(["*passed (same work)*"])
    strict = measured(project, "--energy-strict", joules=OPEN_J)
    assert (strict.code, strict.verdicts) == (1, {"test_forward": "inconclusive"})
    annotated = measured(project, joules=MORE_J)
    assert (annotated.code, annotated.verdicts) == (0, {"test_forward": "regressed"})
    said = "counted work is the same: Python, compilation, layout, values or the machine"
    assert said in " ".join(annotated.text.split())
    failing = measured(project, "--energy-estimates=fail", joules=MORE_J)
    [first, *_] = failing.failure("test_forward").splitlines()
    assert first.startswith("EnergyRegression: call used 6.00 J (estimated, ±50 %), ")
    uncounted = measured(project, "--energy-count=off", joules=OPEN_J)
    assert uncounted.verdicts == {"test_forward": "inconclusive"}


def test_sensed_joules_stay_as_they_are(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work decides nothing about a sensor; more work explains a regression."""
    project.write("test_it.py", FORWARD)
    project.save(*ALONE)
    ran = measured(project, joules=OPEN_J)
    assert (ran.verdicts, works(ran)) == (
        {"test_forward": "inconclusive"},
        {"test_forward": "same work"},
    )
    monkeypatch.setenv("LAYERS", "3")
    first, *facts = measured(project, joules=MORE_J).failure("test_forward").splitlines()
    assert first.startswith("EnergyRegression: call used 6.00 J, baseline 2.00 J (+200 %, ")
    said = "counted work changed by +50 %: aten.addmm float32 2 -> 3 calls, +1.07 GFLOP, in 2.0"
    assert said in " ".join(" ".join(facts).split())


def test_counts_that_cover_little_decide_nothing(project: Project) -> None:
    """Python beside the model may have changed, so the joules stay open."""
    slow = "def call():\n        sum(range(2_000_000))"
    estimated(project, FORWARD.replace("def call():", slow)).save(*ALONE)
    ran = measured(project, joules=OPEN_J)
    assert (ran.verdicts, works(ran)) == (
        {"test_forward": "inconclusive"},
        {"test_forward": "same work"},
    )
    [result] = ran.results.values()
    assert result.work is not None
    assert result.work.coverage.share is not None
    assert result.work.coverage.share < 0.9
    assert "what runs outside torch (" in ran.text


def test_off_counts_nothing(project: Project) -> None:
    """No call is added, nothing is saved in `work`, and the results have no work.

    Nor is a call added to a test that sets how many it makes, unless that is asked for.
    """
    calls = """
        import torch

        CALLS = []

        def test_calls(energy, spend):
            def call():
                CALLS.append(1)
                spend(2.0)
                return torch.ones(2) + 1

            energy.pedantic(call, rounds=3, warmup_rounds=0, iterations=1)
            print("calls:", len(CALLS))
    """
    project.write("test_it.py", calls)
    ran = project.save(*ALONE, "--energy-count=off", "-s")
    assert "calls: 3" in ran.text
    assert (works(ran), flop(ran)) == ({}, {})
    assert not (project.path / "baselines/work").exists()
    assert "work" not in ran.text.replace("network", "")
    auto = measured(project, "-s")
    assert "calls: 3" in auto.text
    verdict = auto.results["test_calls"].verdict.work
    assert ((verdict and verdict.cause) or "").startswith("the test sets its rounds and iterations")
    assert "calls: 6" in measured(project, "-s", "--energy-count=on").text


@pytest.mark.parametrize("when", ["auto", "on"])
def test_code_without_torch(project: Project, when: str) -> None:
    """Nothing is counted: `auto` says nothing of it, and `on` says why."""
    project.write("test_it.py", "def test_works(energy, work):\n    energy(work)\n")
    ran = project.save(*ALONE, f"--energy-count={when}")
    assert ran.code == 0
    assert ("work  not counted: torch is not loaded" in ran.text) == (when == "on")
    assert works(ran) == ({"test_works": "not counted"} if when == "on" else {})
    assert not (project.path / "baselines/work").exists()
    assert ran.closing.endswith("1 baseline saved")


def test_windows_of_a_loop_are_counted_apart(project: Project) -> None:
    """Each window has its own table, and the work of one call of the loop."""
    project.write(
        "test_it.py",
        f"""{MODEL}

def test_generate(energy, model, batch, spend):
    for _ in energy.rounds():
        with energy.measure("prefill"):
            spend(1.0)
            model(batch)
        with energy.measure("decode"):
            spend(1.0)
            model(batch[:1])
""",
    )
    ran = project.save(*ALONE)
    assert flop(ran) == {
        "test_generate/prefill": 2 * LAYER,
        "test_generate/decode": 2 * LAYER // 512,
    }
    assert works(measured(project)) == dict.fromkeys(flop(ran), "same work")


def test_calls_that_differ_have_no_count(project: Project) -> None:
    """The cause is shown instead of a number, and the joules are judged as ever."""
    growing = "def call(seen=[]):\n        seen.append(1)\n        [model(batch) for _ in seen]"
    project.write("test_it.py", FORWARD.replace("def call():", growing))
    ran = project.save(*ALONE)
    assert works(ran) == {"test_forward": "not counted"}
    [result] = ran.results.values()
    assert result.verdict.work is not None
    assert (result.verdict.work.cause or "").startswith("calls differ: aten.addmm float32 ")
    assert "work  not counted: calls differ" in ran.text
    assert ran.closing.endswith("1 baseline saved")


def test_limits_need_no_baseline(project: Project) -> None:
    """`max_flop` and `max_memory` fail a test beside its joules, and say how to raise them."""
    budget = '@pytest.mark.energy_budget(max_flop="2 GFLOP", max_memory="4 MB")\ndef test_'
    estimated(project, FORWARD.replace("def test_", budget))
    ran = measured(project)
    assert (ran.code, ran.verdicts) == (1, {"test_forward": "over budget"})
    [first, *facts] = ran.failure("test_forward").splitlines()
    assert first == (
        "EnergyWorkIncreased: call does 2.15 GFLOP (limit 2 GFLOP) and takes 4.19 MB at once "
        "(limit 4 MB)"
    )
    assert 'raise it        energy_budget(max_flop="2.2 GFLOP", max_memory="4.2 MB")' in facts
    assert "1 over budget (work)" in ran.closing
