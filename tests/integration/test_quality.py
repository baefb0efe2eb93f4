"""`max_quality_drop` and `energy.quality`: a cheaper model that is worse is no improvement."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration import commands
from tests.integration.projects import INI, Project, conftest, fill, run_outside

#: A test whose quality is what the environment says; without it, it tells none.
KEEPS = """
    import os

    import pytest

    @pytest.mark.energy_budget(max_quality_drop="1%"{more})
    def test_infers(energy, work):
        energy(work)
        energy.quality(**eval(os.environ.get("QUALITY", "dict(accuracy=0.94)")))
"""
DROPPED = "call kept accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)"
ACCEPT = "Accept it: pytest --energy-save test_it.py::test_infers"
Told = Callable[[str], None]


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `kept` starts from; made once."""
    folder = tmp_path_factory.mktemp("kept")
    files = {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": KEEPS.format(more="")}
    fill(folder, files)
    run_outside(folder, "--energy-save")
    return folder


@pytest.fixture
def kept(project: Project, kept_folder: Path) -> Project:
    """A project whose test has a baseline of 2 J with an accuracy of 0.94."""
    project.copy(kept_folder)
    return project


@pytest.fixture
def tells(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Have the test tell another quality, as the arguments of a dict."""
    return lambda text: monkeypatch.setenv("QUALITY", f"dict({text})")


def quality_of(project: Project) -> list[dict[str, float]]:
    """The qualities of the only baseline's sessions."""
    return [session.quality for session in project.baseline().measurements["call"].sessions]


# --- what fails ------------------------------------------------------------------------------


def test_what_keeps_its_quality_passes(kept: Project, tells: Told) -> None:
    """A drop within the limit is told beside the joules, and fails nothing."""
    tells("accuracy=0.935")
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    assert ran.verdicts == {"test_infers": "passed"}
    [quality] = ran.results["test_infers"].verdict.qualities
    assert (quality.value, quality.baseline, quality.exceeded) == (0.935, 0.94, False)
    ran.stdout.fnmatch_lines(["    accuracy * 0.935 (-0.5 %)"])


def test_a_drop_is_red_though_joules_improved(kept: Project, tells: Told) -> None:
    """Half the joules for a worse model fail in one line that says what was lost."""
    tells("accuracy=0.90")
    ran = kept.energy("--junitxml=junit.xml", joules=1.0)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert ran.outcomes == {"failed": 1}
    said = ran.failure("test_infers").splitlines()
    assert said[0] == f"EnergyRegression: {DROPPED}. {ACCEPT}"
    assert "quality    accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)" in said
    assert any(line.startswith("its energy improved: -50 %") for line in said)
    verdict = ran.results["test_infers"].verdict
    assert (verdict.outcome.value, verdict.energy.value) == ("regressed", "improved")
    assert ran.closing == (
        "1 measured, 1 compared: 0 passed, 1 regressed (quality), 0 inconclusive; 0 no baseline; "
        "0 not comparable"
    )
    tree = ElementTree.parse(kept.path / "junit.xml")
    properties = {p.get("name"): p.get("value") for p in tree.iter("property")}
    assert properties["energy.quality_baseline.accuracy"] == "0.94"
    assert properties["energy.max_quality_drop.accuracy"] == "0.01"


def test_no_fresh_process_is_asked(kept: Project, tells: Told) -> None:
    """A quality is a number of the test: nothing is measured again before it fails."""
    tells("accuracy=0.90")
    kept.write(
        "test_it.py", KEEPS.format(more="") + '        open("log.txt", "a").write("ran\\n")\n'
    )
    assert kept.energy().outcomes == {"failed": 1}
    assert kept.log() == ["ran"]


def test_an_estimate_does_not_soften_it(project: Project, tells: Told) -> None:
    """Joules that are estimated only warn, and a drop of quality fails beside them."""
    project.sensor('source="estimated"')
    project.write("test_it.py", KEEPS.format(more=""))
    project.save()
    tells("accuracy=0.90")
    ran = project.energy(joules=3.0)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "and kept accuracy 0.90, baseline 0.94 (-4.3 %" in ran.failure("test_infers")
    tells("accuracy=0.94")
    ran = project.energy(joules=3.0)
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["~regressed (warned): test_it.py::test_infers"])


@pytest.mark.parametrize("where", ["marker", "option"])
def test_the_action_warns(kept: Project, tells: Told, where: str) -> None:
    """The marker's action, or that of the run, holds for a drop as for joules."""
    tells("accuracy=0.90")
    if where == "marker":
        kept.write("test_it.py", KEEPS.format(more=', action="warn"'))
    ran = kept.energy(*(["--energy-action=warn"] if where == "option" else []))
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["regressed (warned): test_it.py::test_infers", f"  {DROPPED}. *"])


def test_a_loss_that_broke_fails(kept: Project, tells: Told) -> None:
    """NaN is no quality, and is left out of the JSON document."""
    tells('accuracy=float("nan")')
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "kept accuracy no finite number, baseline 0.94 (broken, limit -1 %)" in ran.text
    assert ran.results["test_infers"].verdict.drops[0].value is None


def test_another_machine_does_not_hide_it(kept: Project, tells: Told) -> None:
    """Joules of other sensors are not comparable; the quality is."""
    tells("accuracy=0.90")
    kept.sensor('name="other"')
    kept.write("pytest.ini", INI.replace("fake", "other"))
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    verdict = ran.results["test_infers"].verdict
    assert (verdict.outcome.value, verdict.energy.value) == ("regressed", "not comparable")


def test_strict_fails_joules_that_a_drop_would_hide(kept: Project, tells: Told) -> None:
    """A worse quality that only warns makes no red build green."""
    kept.sensor('name="other"')
    kept.write("pytest.ini", INI.replace("fake", "other"))
    strict = ("--energy-strict", "--energy-action=warn")
    unproven = "EnergyUnproven: call could not be judged, and --energy-strict is on: not comparable"
    assert kept.energy(*strict).failure("test_infers").startswith(unproven)
    tells("accuracy=0.90")
    ran = kept.energy(*strict)
    assert ran.outcomes == {"failed": 1}
    assert ran.failure("test_infers").startswith(unproven)
    assert ran.closing == (
        "1 measured, 0 compared: 0 passed, 1 regressed (quality, warned), 0 inconclusive; "
        "0 no baseline; 1 not comparable"
    )


@pytest.mark.parametrize("energy", [True, False])
@pytest.mark.parametrize(("value", "shown"), [("'high'", "'high'"), ("None", "None")])
def test_what_is_no_number_is_named(project: Project, value: str, shown: str, energy: bool) -> None:
    """One line at the line of the test, with no line of ours."""
    project.write("test_it.py", f"def test_it(energy):\n    energy.quality(accuracy={value})\n")
    ran = project.energy() if energy else project.run()
    assert ran.outcomes == {"failed": 1}
    assert (
        f"E       ValueError: energy.quality: accuracy={shown} is no quality; give a number, "
        "higher being better"
    ) in ran.lines
    assert "fixture.py" not in ran.text


def test_its_own_failure_is_kept(kept: Project, tells: Told) -> None:
    """A test that failed for another reason says that reason alone."""
    tells("accuracy=0.90")
    kept.write("test_it.py", KEEPS.format(more="") + "        assert energy is None\n")
    ran = kept.energy()
    assert ran.outcomes == {"failed": 1}
    assert "EnergyRegression" not in ran.text


# --- what is accepted ------------------------------------------------------------------------


def test_save_accepts_a_drop(kept: Project, tells: Told) -> None:
    """It is told, not failed; what was accepted is the baseline, and joules keep theirs."""
    tells("accuracy=0.90")
    ran = kept.save()
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["regressed (saved): test_it.py::test_infers", f"  {DROPPED}. This *"])
    assert "1 regressed (quality, accepted)" in ran.closing
    assert quality_of(kept) == [{}, {"accuracy": 0.9}]
    again = kept.energy()
    assert again.code == pytest.ExitCode.OK
    assert again.results["test_infers"].verdict.change is not None
    tells("accuracy=0.88")
    assert kept.energy().outcomes == {"failed": 1}


def test_save_refuses_what_broke(kept: Project, tells: Told) -> None:
    """NaN is told with why it is not saved, and the baseline stays what it was."""
    tells('accuracy=float("nan")')
    ran = kept.save()
    assert ran.code == pytest.ExitCode.OK
    said = "It cannot be accepted: a quality has to be a finite number"
    assert said in " ".join(ran.text.split())
    assert "1 regressed (quality), 0 inconclusive" in ran.closing
    assert any(line.endswith("accuracy is no finite number") for line in ran.lines)
    assert quality_of(kept) == [{"accuracy": 0.94}]


def test_small_accepted_drops_are_told_once_they_add_up(kept: Project, tells: Told) -> None:
    """Each is within the limit; all of them together are not, which fails nothing."""
    for value in (0.934, 0.930):
        tells(f"accuracy={value}")
        assert kept.save().code == pytest.ExitCode.OK
    tells("accuracy=0.928")
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    said = "Crept down since first accepted, step by step: test_infers accuracy -1.3 %."
    assert said in " ".join(ran.text.split())


def test_save_new_judges_it(kept: Project, tells: Told) -> None:
    """What has a baseline is judged as ever, and not saved."""
    tells("accuracy=0.90")
    assert kept.energy("--energy-save-new").outcomes == {"failed": 1}
    assert quality_of(kept) == [{"accuracy": 0.94}]


def test_each_process_is_saved_with_its_own_quality(project: Project) -> None:
    """Of training without a seed each session has another: their mean is the baseline."""
    project.write(
        "test_it.py",
        """
        from pathlib import Path

        import pytest

        @pytest.mark.energy_budget(max_quality_drop="1%")
        def test_infers(energy, work):
            energy(work)
            with open("log.txt", "a") as log:
                log.write("ran\\n")
            energy.quality(accuracy=1 - len(Path("log.txt").read_text().split()) / 10)
        """,
    )
    ran = project.save("--energy-sessions=3")
    assert ran.outcomes == {"passed": 1}
    assert quality_of(project) == [{"accuracy": 0.9}, {"accuracy": 0.8}, {"accuracy": 0.7}]
    assert len(ran.results["test_infers"].fresh_quality) == 2


# --- what there is nothing to compare with ---------------------------------------------------


def test_without_a_baseline_there_is_no_verdict(project: Project) -> None:
    """The first run passes, and says how to accept it."""
    project.write("test_it.py", KEEPS.format(more=""))
    ran = project.energy()
    assert ran.code == pytest.ExitCode.OK
    assert ran.verdicts == {"test_infers": "no baseline"}


def test_a_quality_that_is_new_or_gone_is_said(kept: Project, tells: Told) -> None:
    """It passes, for nothing shows that it fell; `--energy-strict` fails it."""
    tells("f1=0.9")
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    assert "test_infers: its baseline has accuracy, which it does not tell any more:" in ran.text
    assert "its baseline has no f1 to hold it against" in " ".join(ran.text.split())
    strict = kept.energy("--energy-strict")
    assert strict.code == pytest.ExitCode.TESTS_FAILED
    assert "EnergyUnproven: call could not be judged" in strict.text
    assert kept.save().code == pytest.ExitCode.OK
    assert quality_of(kept) == [{}, {"f1": 0.9}]
    assert kept.energy("--energy-strict").code == pytest.ExitCode.OK


@pytest.mark.parametrize("body", ["(energy, work): energy(work)", "(work): work()"])
def test_a_limit_without_a_quality_is_an_error(project: Project, body: str) -> None:
    """One line names the mend, of a test that is measured as a whole too."""
    mark = '@pytest.mark.energy_budget(max_quality_drop="1%")'
    project.write("test_it.py", f"import pytest\n\n{mark}\ndef test_it{body}\n")
    ran = project.energy()
    assert ran.outcomes == {"failed": 1}
    assert ran.failure("test_it") == (
        "GreenopsError: energy_budget: max_quality_drop needs a quality, but the test tells none; "
        "tell it before the test ends: energy.quality(accuracy=...)"
    )
    assert project.run().outcomes == {"passed": 1}


# --- two files -------------------------------------------------------------------------------


def test_two_files_are_compared(kept: Project, tells: Told) -> None:
    """`pytest-greenops compare` exits with 1 on a drop, whatever was saved."""
    kept.energy()
    (kept.path / "results.json").rename(kept.path / "a.json")
    tells("accuracy=0.90")
    kept.energy()
    told = commands.run(kept.path, "compare", "a.json", "results.json")
    assert told.code == 1
    assert "call kept accuracy 0.90 in B, 0.94 in A (-4.3 %, limit -1 %)" in told.out
    assert commands.run(kept.path, "compare", "results.json", "a.json").code == 0
    tells('accuracy=float("nan")')
    kept.energy()
    told = commands.run(kept.path, "compare", "a.json", "results.json")
    assert told.code == 1
    assert "call kept accuracy no finite number in B, 0.94 in A (broken, limit -1 %)" in told.out
    document = json.loads((kept.path / "results.json").read_text())
    assert document["results"][0]["verdict"]["qualities"][0]["name"] == "accuracy"


# --- the Pareto front ------------------------------------------------------------------------

SIZES = """
    import pytest

    @pytest.mark.parametrize(
        ("size", "accuracy", "joules"),
        [("large", 0.95, 10), ("small", 0.94, 5), ("medium", 0.93, 8)],
        ids=["large", "small", "medium"],
    )
    def test_infers(energy, spend, size, accuracy, joules):
        energy(spend, joules)
        energy.quality(accuracy=accuracy)
"""
FRONT = [
    "Pareto front (accuracy, J) of test_infers: small 0.94 at {mark}5.00 J, large 0.95 at",
    "{mark}10.0 J; dominated: medium 0.93 at {mark}8.00 J by small.",
]


def test_the_front_stands_under_the_table(project: Project) -> None:
    """In lines of 80 columns, by joules, with who dominates what."""
    project.write("test_it.py", SIZES)
    ran = project.energy()
    first = ran.lines.index(FRONT[0].format(mark=""))
    assert ran.lines[first + 1] == FRONT[1].format(mark="")
    assert max(map(len, ran.lines[first : first + 2])) <= 80


def test_a_quiet_run_leaves_it_out(project: Project) -> None:
    """With `-q` there is no table, and nothing under it but what is red or undecided."""
    project.write("test_it.py", SIZES)
    assert "Pareto" not in project.energy("-q").text


def test_workers_share_the_front(project: Project) -> None:
    """With pytest-xdist the controller sees all parametrizations; estimates are marked."""
    project.sensor('source="estimated"')
    project.write("test_it.py", SIZES)
    ran = project.energy("-p", "xdist", "-n2")
    assert ran.outcomes == {"passed": 3}
    text = " ".join(ran.text.split())
    assert " ".join(line.format(mark="~") for line in FRONT) in text
