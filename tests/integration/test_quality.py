"""`max_quality_drop` and `energy.quality`: a model that uses less energy and is worse fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration import commands
from tests.integration.projects import ALONE, INI, Project, conftest, fill, run_outside

#: A test whose quality the environment sets; 0.94 by default.
KEEPS = """
    import os

    import pytest

    @pytest.mark.energy_budget(max_quality_drop="1%"{more})
    def test_infers(energy, work):
        energy(work)
        energy.quality(**eval(os.environ.get("QUALITY", "dict(accuracy=0.94)")))
"""
DROPPED = "call reached accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)"
SetQuality = Callable[[str], None]


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that `kept` copies."""
    folder = tmp_path_factory.mktemp("kept")
    files = {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": KEEPS.format(more="")}
    fill(folder, files)
    run_outside(folder, "--energy-save")
    return folder


@pytest.fixture
def kept(project: Project, kept_folder: Path) -> Project:
    """Return a project whose test has a baseline of 2 J with an accuracy of 0.94."""
    project.copy(kept_folder)
    return project


@pytest.fixture
def set_quality(monkeypatch: pytest.MonkeyPatch) -> SetQuality:
    """Set the quality that the test reports, as arguments of a dict."""
    return lambda text: monkeypatch.setenv("QUALITY", f"dict({text})")


def quality_of(project: Project) -> list[dict[str, float]]:
    """Return the qualities of the sessions of the only baseline."""
    return [session.quality for session in project.baseline().measurements["call"].sessions]


# --- what fails ------------------------------------------------------------------------------


def test_a_small_drop_passes(kept: Project, set_quality: SetQuality) -> None:
    """A drop within the limit is shown with the joules, and fails nothing."""
    set_quality("accuracy=0.935")
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    assert ran.verdicts == {"test_infers": "passed"}
    [quality] = ran.results["test_infers"].verdict.qualities
    assert (quality.value, quality.baseline, quality.exceeded) == (0.935, 0.94, False)
    ran.stdout.fnmatch_lines(["    accuracy * 0.935 (-0.5 %)"])


def test_a_drop_fails_though_joules_improved(kept: Project, set_quality: SetQuality) -> None:
    """Half the joules for a worse model fail in one line, without a fresh process."""
    set_quality("accuracy=0.90")
    kept.write(
        "test_it.py", KEEPS.format(more="") + '        open("log.txt", "a").write("ran\\n")\n'
    )
    ran = kept.energy("--junitxml=junit.xml", joules=1.0)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert ran.outcomes == {"failed": 1}
    assert kept.log() == ["ran"]
    shown = ran.failure("test_infers").splitlines()
    assert shown[0] == f"EnergyRegression: {DROPPED}"
    assert any(line.startswith("its energy      improved: -50 %") for line in shown)
    assert "accept it       pytest --energy-save test_it.py::test_infers" in shown
    verdict = ran.results["test_infers"].verdict
    assert (verdict.outcome.value, verdict.energy.value) == ("regressed", "improved")
    assert "1 regressed (quality)" in ran.closing
    tree = ElementTree.parse(kept.path / "junit.xml")
    properties = {p.get("name"): p.get("value") for p in tree.iter("property")}
    assert properties["energy.quality_baseline.accuracy"] == "0.94"
    assert properties["energy.max_quality_drop.accuracy"] == "0.01"


def test_an_estimate_does_not_soften_it(project: Project, set_quality: SetQuality) -> None:
    """An estimated increase only warns, and a drop of quality with it fails."""
    project.sensor('source="estimated"')
    project.write("test_it.py", KEEPS.format(more=""))
    project.save()
    set_quality("accuracy=0.90")
    ran = project.energy(*ALONE, joules=3.0)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "and reached accuracy 0.90, baseline 0.94 (-4.3 %" in ran.failure("test_infers")
    set_quality("accuracy=0.94")
    ran = project.energy(*ALONE, joules=3.0)
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["~regressed (warned): test_it.py::test_infers"])


@pytest.mark.parametrize("where", ["marker", "option"])
def test_the_action_warns(kept: Project, set_quality: SetQuality, where: str) -> None:
    """`action` of the marker or of the run applies to a drop, as to joules."""
    set_quality("accuracy=0.90")
    if where == "marker":
        kept.write("test_it.py", KEEPS.format(more=', action="warn"'))
    ran = kept.energy(*(["--energy-action=warn"] if where == "option" else []))
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["regressed (warned): test_it.py::test_infers", f"  {DROPPED}"])


def test_a_loss_that_broke_fails(kept: Project, set_quality: SetQuality) -> None:
    """NaN fails as a quality, and is omitted from the JSON document."""
    set_quality('accuracy=float("nan")')
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "reached accuracy not a finite number, baseline 0.94 (broken, limit -1 %)" in ran.text
    assert ran.results["test_infers"].verdict.drops[0].value is None


def test_another_machine_does_not_hide_it(kept: Project, set_quality: SetQuality) -> None:
    """The quality is comparable where the joules of other sensors are not."""
    set_quality("accuracy=0.90")
    kept.sensor('name="other"')
    kept.write("pytest.ini", INI.replace("fake", "other"))
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    verdict = ran.results["test_infers"].verdict
    assert (verdict.outcome.value, verdict.energy.value) == ("regressed", "not comparable")


def test_strict_fails_joules_that_a_drop_would_hide(kept: Project, set_quality: SetQuality) -> None:
    """A drop that only warns does not hide that the joules could not be judged."""
    kept.sensor('name="other"')
    kept.write("pytest.ini", INI.replace("fake", "other"))
    strict = ("--energy-strict", "--energy-action=warn")
    unproven = "EnergyUnproven: call could not be judged, and --energy-strict is on: not comparable"
    assert kept.energy(*strict).failure("test_infers").startswith(unproven)
    set_quality("accuracy=0.90")
    ran = kept.energy(*strict)
    assert ran.outcomes == {"failed": 1}
    assert ran.failure("test_infers").startswith(unproven)
    assert "1 regressed (quality, warned)" in ran.closing
    assert ran.counts == {"measured": 1, "regressed": 1, "not comparable": 1}


@pytest.mark.parametrize("energy", [True, False])
def test_a_value_that_is_not_a_number_is_named(project: Project, energy: bool) -> None:
    """The error is one line at the line of the test, without a line of the plugin."""
    project.write(
        "test_it.py",
        """
        def test_text(energy):
            energy.quality(accuracy="high")

        def test_none(energy):
            energy.quality(accuracy=None)
        """,
    )
    ran = project.energy() if energy else project.run()
    assert ran.outcomes == {"failed": 2}
    for shown in ("'high'", "None"):
        assert (
            f"E       ValueError: energy.quality(accuracy={shown}): expected a number, "
            "higher is better"
        ) in ran.lines
    assert "fixture.py" not in ran.text


def test_its_own_failure_is_kept(kept: Project, set_quality: SetQuality) -> None:
    """A test that failed for another reason reports only that reason."""
    set_quality("accuracy=0.90")
    kept.write("test_it.py", KEEPS.format(more="") + "        assert energy is None\n")
    ran = kept.energy()
    assert ran.outcomes == {"failed": 1}
    assert "EnergyRegression" not in ran.text


# --- what is accepted ------------------------------------------------------------------------


def test_save_accepts_a_drop(kept: Project, set_quality: SetQuality) -> None:
    """It is reported and becomes the baseline, and the joules keep theirs."""
    set_quality("accuracy=0.90")
    ran = kept.save()
    assert ran.code == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(["regressed (saved): test_it.py::test_infers", f"  {DROPPED}. This *"])
    assert "1 regressed (quality, accepted)" in ran.closing
    assert quality_of(kept) == [{}, {"accuracy": 0.9}]
    again = kept.energy()
    assert again.code == pytest.ExitCode.OK
    assert again.results["test_infers"].verdict.change is not None
    set_quality("accuracy=0.88")
    assert kept.energy().outcomes == {"failed": 1}


def test_save_refuses_what_broke(kept: Project, set_quality: SetQuality) -> None:
    """NaN is reported with why it is not saved, and the baseline stays."""
    set_quality('accuracy=float("nan")')
    ran = kept.save()
    assert ran.code == pytest.ExitCode.OK
    said = "It cannot be accepted: a quality must be a finite number"
    assert said in " ".join(ran.text.split())
    assert "1 regressed (quality)" in ran.closing
    assert any(line.endswith("accuracy is not a finite number") for line in ran.lines)
    assert quality_of(kept) == [{"accuracy": 0.94}]


def test_small_accepted_drops_add_up(kept: Project, set_quality: SetQuality) -> None:
    """Drops within the limit are reported when their sum exceeds it, and fail nothing."""
    for value in (0.934, 0.930, 0.926, 0.924, 0.922):
        set_quality(f"accuracy={value}")
        assert kept.save().code == pytest.ExitCode.OK
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    said = "Quality crept down in small accepted steps: test_infers accuracy -1.1 %."
    assert said in " ".join(ran.text.split())


def test_save_new_judges_it(kept: Project, set_quality: SetQuality) -> None:
    """A test that has a baseline is judged as usual, and not saved."""
    set_quality("accuracy=0.90")
    assert kept.energy("--energy-save-new").outcomes == {"failed": 1}
    assert quality_of(kept) == [{"accuracy": 0.94}]


def test_each_process_is_saved_with_its_own_quality(project: Project) -> None:
    """Each session keeps its own quality, as of a training without a seed."""
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
    ran = project.save("--energy-sessions=2")
    assert ran.outcomes == {"passed": 1}
    assert quality_of(project) == [{"accuracy": 0.9}, {"accuracy": 0.8}]
    assert len(ran.results["test_infers"].fresh_quality) == 1


# --- without a baseline ----------------------------------------------------------------------


def test_without_a_baseline_there_is_no_verdict(project: Project) -> None:
    """The first run passes with `no baseline`."""
    project.write("test_it.py", KEEPS.format(more=""))
    ran = project.energy()
    assert ran.code == pytest.ExitCode.OK
    assert ran.verdicts == {"test_infers": "no baseline"}


def test_a_new_or_missing_quality_is_reported(kept: Project, set_quality: SetQuality) -> None:
    """It passes because nothing shows that it fell; `--energy-strict` fails it."""
    set_quality("f1=0.9")
    ran = kept.energy()
    assert ran.code == pytest.ExitCode.OK
    assert "test_infers: the baseline has accuracy, but the test does not report it" in ran.text
    assert "the baseline has no f1 to compare with" in " ".join(ran.text.split())
    strict = kept.energy("--energy-strict")
    assert strict.code == pytest.ExitCode.TESTS_FAILED
    assert "EnergyUnproven: call could not be judged" in strict.text
    assert kept.save().code == pytest.ExitCode.OK
    assert quality_of(kept) == [{}, {"f1": 0.9}]
    assert kept.energy("--energy-strict").code == pytest.ExitCode.OK


def test_a_limit_without_a_quality_is_an_error(project: Project) -> None:
    """The error names the fix in one line, for a test measured as a whole too."""
    project.write(
        "test_it.py",
        """
        import pytest

        pytestmark = pytest.mark.energy_budget(max_quality_drop="1%")

        def test_call(energy, work): energy(work)
        def test_whole(work): work()
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"failed": 2}
    for test in ("test_call", "test_whole"):
        assert ran.failure(test) == (
            "GreenopsError: energy_budget: max_quality_drop needs a quality, but the test reports "
            "none; report it before the test ends: energy.quality(accuracy=...)"
        )
    assert project.run().outcomes == {"passed": 2}


# --- two files -------------------------------------------------------------------------------


def test_two_files_are_compared(kept: Project, set_quality: SetQuality) -> None:
    """`pytest-greenops compare` exits with 1 on a drop, whatever was saved."""
    kept.energy()
    (kept.path / "results.json").rename(kept.path / "a.json")
    set_quality("accuracy=0.90")
    kept.energy()
    ran = commands.run(kept.path, "compare", "a.json", "results.json")
    assert ran.code == 1
    assert "call reached accuracy 0.90 in B, 0.94 in A (-4.3 %, limit -1 %)" in ran.out
    assert commands.run(kept.path, "compare", "results.json", "a.json").code == 0
    set_quality('accuracy=float("nan")')
    kept.energy()
    ran = commands.run(kept.path, "compare", "a.json", "results.json")
    assert ran.code == 1
    assert (
        "call reached accuracy not a finite number in B, 0.94 in A (broken, limit -1 %)" in ran.out
    )
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


def test_the_front_follows_the_table(project: Project) -> None:
    """Its lines fit 80 columns, list the front by joules, and name who dominates what."""
    project.write("test_it.py", SIZES)
    ran = project.energy()
    first = ran.lines.index(FRONT[0].format(mark=""))
    assert ran.lines[first + 1] == FRONT[1].format(mark="")
    assert max(map(len, ran.lines[first : first + 2])) <= 80


def test_a_quiet_run_omits_the_front(project: Project) -> None:
    """`-q` prints neither the table nor the front."""
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
