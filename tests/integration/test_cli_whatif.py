"""`pytest-greenops whatif`: energy that nobody measured, and that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import refused, run
from tests.integration.forked_python import Finished
from tests.integration.projects import INI, Project, conftest, fill, run_outside

DOMAINS = 'Domain("cpu:0", "cpu"), Domain("gpu:0", "gpu")'
TESTS = """
    import itertools

    import pytest

    def test_train(energy, spend):
        started = itertools.count()

        def epoch():
            number = next(started)
            spend(300 if number else 600)
            spend(700 + number % 3, "gpu:0", seconds=1.0)

        energy.pedantic(epoch, rounds=8, warmup_rounds=0, iterations=1)

    def test_infer(energy, spend):
        energy.pedantic(spend, args=(2.0,), iterations=1)

    def test_infer_twice(energy, spend):
        energy.pedantic(spend, args=(2.0,), iterations=2)

    @pytest.mark.energy_budget(domain="gpu")
    def test_card(energy, spend):
        def epoch():
            spend(2.0)
            spend(0.5, "gpu:0")

        energy.pedantic(epoch, rounds=6, warmup_rounds=0, iterations=1)

    def test_warmed(energy, spend):
        started = itertools.count()

        def epoch():
            spend(1.0 if next(started) else 4.0)

        energy.pedantic(epoch, rounds=6, iterations=1)
"""
KWH = 3.6e6


@pytest.fixture(scope="module")
def files_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that `files` copies."""
    folder = tmp_path_factory.mktemp("files")
    fill(folder, {"pytest.ini": INI, "conftest.py": conftest(DOMAINS), "test_it.py": TESTS})
    run_outside(folder, "--energy", "--energy-json=plain.json")
    grid = ("--energy-carbon-intensity=360 g/kWh", "--energy-pue=1.5")
    run_outside(folder, "--energy", "--energy-json=grid.json", *grid)
    return folder


@pytest.fixture
def files(project: Project, files_folder: Path) -> Path:
    """Return a folder with `plain.json`, and with `grid.json` of a run with a known grid."""
    project.copy(files_folder)
    return project.path


def asked(folder: Path, *arguments: object) -> Finished:
    """Return the answer to a question; no line is wider than 80 columns."""
    ran = run(folder, "whatif", *arguments)
    assert (0, "") == (ran.code, ran.err)
    assert max(map(len, ran.lines)) <= 80
    return ran


def joined(ran: Finished) -> str:
    """Return an answer without its line breaks."""
    return " ".join(ran.out.split())


# --- region ------------------------------------------------------------------------------------


def test_another_region_is_hypothetical(files: Path) -> None:
    """Measured and hypothetical figures are printed with the source of the factor."""
    ran = asked(files, "region", "plain.json", "--region=us-ky", "--pue=1.59", "--test=infer_twice")
    assert ran.lines[0].startswith("energy: HYPOTHETICAL: the same work at 833.5 g/kWh (US-KY: ")
    said = joined(ran)
    assert "EnergyVis (arXiv:2103.16435), 2020), with a PUE of 1.59 test_infer_twice" in said
    assert "measured 2.00 J per call, grid unknown hypothetical 2.00 J per call (" in said
    assert said.endswith("3.18 J with the data center (PUE 1.59), 736 µg CO2e per call")


def test_the_grid_of_the_run_is_the_default(files: Path) -> None:
    """Another PUE keeps the grid, and another grid keeps the PUE."""
    pue = joined(asked(files, "region", "grid.json", "--pue=3", "--test=test_it.py::test_infer"))
    assert "measured 2.00 J per call, 300 µg CO2e per call, at 360 g/kWh, PUE 1.5" in pue
    assert "6.00 J with the data center (PUE 3), 600 µg CO2e per call, at 360 g/kWh" in pue
    grid = joined(
        asked(files, "region", "grid.json", "--carbon-intensity=720 g/kWh", "--test=infer_twice")
    )
    assert "the same work at 720 g/kWh test_infer_twice" in grid
    assert grid.endswith("3.00 J with the data center (PUE 1.5), 600 µg CO2e per call")


def test_another_gpu_changes_only_the_gpu(files: Path) -> None:
    """The 325 J of the CPU stay, and without a grid no grams are printed."""
    said = joined(asked(files, "region", "plain.json", "--gpu-efficiency=2", "--test=train"))
    assert "the same work on a GPU with 2 times as many operations per joule" in said
    assert "(cpu 325 J, gpu 338 J); grid unknown, so no CO2e" in said


def test_all_tests_are_the_default(files: Path) -> None:
    """Each test has both lines."""
    ran = asked(files, "region", "plain.json", "--region=FR")
    assert [line for line in ran.lines if line.startswith("test_")] == [
        *("test_train", "test_infer", "test_infer_twice", "test_card", "test_warmed")
    ]
    assert 5 == sum(line.startswith("  hypothetical") for line in ran.lines)


def test_joules_of_one_domain_name_the_domain(files: Path) -> None:
    """The domain is printed with measured, hypothetical and projected joules."""
    region = joined(asked(files, "region", "plain.json", "--pue=2", "--test=card"))
    assert "measured 500 mJ (gpu) per call, grid" in region
    assert "hypothetical 500 mJ (gpu) per call, 1.00 J with" in region
    parity = asked(files, "parity", "--training=1 kJ", "--inference=plain.json::test_card")
    assert "energy: 500 mJ (gpu): a call of test_it.py::test_card in plain.json" in parity.out
    training = asked(files, "training", "plain.json", "--epochs=9", "--test=card")
    assert training.lines[0] == "energy: test_card (gpu): 6 of 9 epochs measured, 3.00 J"


def test_joules_of_different_domains_are_not_compared(files: Path) -> None:
    """Joules of the GPU and joules of all domains are refused by both questions."""
    card, whole = "plain.json::test_card", "plain.json::test_infer"
    said = (
        "test_it.py::test_card in plain.json has domain gpu, test_it.py::test_infer in plain.json "
        "has total; use energies of the same domain"
    )
    asking = ("parity", f"--training={card}", f"--inference={whole}")
    assert said == refused(files, "whatif", *asking)
    assert said == refused(files, "whatif", "cycle", "1 kJ", card, "1 kJ", whole)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing differs: add --region, --carbon-intensity, --pue or --gpu-efficiency"),
        (["--pue=0.5"], "test_it.py::test_train: 0.5: expected a PUE"),
        (["--pue=20"], "test_it.py::test_train: 20.0: expected a PUE"),
        (["--gpu-efficiency=0"], "test_it.py::test_train: GPU efficiency 0: expected"),
        (["--region=FR", "--test=nobody"], "plain.json: no test matches nobody; the file has: "),
    ],
)
def test_questions_that_cannot_be_answered(files: Path, arguments: list[str], said: str) -> None:
    """A line says what is missing."""
    assert refused(files, "whatif", "region", "plain.json", *arguments).startswith(said)


def test_a_result_without_its_joules_is_refused(files: Path) -> None:
    """A counter without joules does not count as zero."""
    document: dict[str, Any] = json.loads((files / "plain.json").read_text())
    del document["results"][0]["by_domain"]["gpu:0"]
    (files / "plain.json").write_text(json.dumps(document))
    said = refused(files, "whatif", "region", "plain.json", "--pue=2")
    assert said == "test_it.py::test_train: damaged (no joules of gpu:0); run it again"


def test_an_unknown_region_is_refused(files: Path) -> None:
    """The message names the nearest regions; `regions` lists all."""
    ran = run(files, "whatif", "region", "plain.json", "--region=KY")
    assert (2, "") == (ran.code, ran.out)
    assert "no carbon intensity is known for region 'KY'; the nearest: US-KY (Kentucky)" in ran.err
    listed = asked(files, "regions").lines
    assert [line.split()[:2] for line in listed if line.startswith(("US-KY", "FR"))] == [
        ["FR", "44"],
        ["US-KY", "834"],
    ]


# --- cycle and parity --------------------------------------------------------------------------


def test_two_models_cross(files: Path) -> None:
    """The crossing is printed, who uses less on each side, and both at a given usage."""
    ran = asked(files, "cycle", "100 kJ", "2 J", "300 kJ", "1 J", "--inferences=300000")
    assert ran.lines == [
        "   training  an inference",
        "A  100 kJ    2.00 J",
        "B  300 kJ    1.00 J",
        "energy: A uses less energy up to 200,000 inferences, B after that",
        "energy: after 300,000 inferences: A 700 kJ (0.194 kWh), B 600 kJ (0.167 kWh)",
    ]


@pytest.mark.parametrize(
    ("energies", "said"),
    [
        (["1 J", "2 J", "2 J", "2 J"], "A uses less energy for any number of inferences"),
        (["2 J", "2 J", "1 J", "1 J"], "B uses less energy for any number of inferences"),
        (["1 J", "2 J", "1 J", "2 J"], "both use the same energy for any number of inferences"),
    ],
)
def test_two_models_that_never_cross(files: Path, energies: list[str], said: str) -> None:
    """The answer is a sentence."""
    assert said in asked(files, "cycle", *energies).out


def test_energies_are_taken_from_results(files: Path) -> None:
    """A full name is preferred to a part of a name, and the source is printed."""
    ran = asked(files, "cycle", "1 kJ", "plain.json::test_infer", "2 kJ", "1 J")
    assert "A  1.00 kJ   2.00 J" in ran.lines
    assert "energy: 2.00 J: a call of test_it.py::test_infer in plain.json" in ran.lines


def test_estimated_energies_say_so(files: Path) -> None:
    """Estimated joules are marked in every answer."""
    document: dict[str, Any] = json.loads((files / "plain.json").read_text())
    for result in document["results"]:
        result["provenance"]["estimated"] = True
    (files / "plain.json").write_text(json.dumps(document))
    ran = asked(files, "parity", "--training=1 kJ", "--inference=plain.json::infer_twice")
    assert "energy: 2.00 J: ESTIMATED, a call of test_it.py::test_infer_twice" in ran.out
    assert "2.00 J per call, ESTIMATED" in asked(files, "region", "plain.json", "--pue=2").out
    assert "(ESTIMATED)" in asked(files, "training", "plain.json", "--epochs=9", "--test=train").out


def test_cost_parity(files: Path) -> None:
    """Training plus fine-tuning, divided by an inference, as in the study."""
    ran = asked(
        *(files, "parity", "--training=51686 kWh", "--fine-tuning=7571 kWh"),
        "--inference=1.0e-4 kWh",
    )
    assert "cost parity: 592,570,000 inferences use as much energy as both" in ran.out
    assert "fine-tuning 27.3 GJ (7,571 kWh)" in joined(ran)


@pytest.mark.parametrize(
    ("energy", "said"),
    [
        ("5", "'5': expected an energy"),
        ("plain.json::infer", "plain.json: 2 tests match infer: test_it.py::test_infer, "),
        ("plain.json::nobody", "plain.json: no test matches nobody; the file has: test_it.py::"),
        ("gone.json::infer", "gone.json: cannot be read (No such file or directory)"),
        ("0 J", "an inference of 0 J never adds up to its training"),
    ],
)
def test_wrong_energies_are_refused(files: Path, energy: str, said: str) -> None:
    """No unit, several tests, no such test, no such file: the message names the problem."""
    ran = refused(files, "whatif", "parity", "--training=1 kJ", f"--inference={energy}")
    assert ran.startswith(said)


# --- training ----------------------------------------------------------------------------------


def test_a_whole_training_is_extrapolated(files: Path) -> None:
    """The start-up counts once; TDP x time is printed on request."""
    ran = asked(
        files, "training", "plain.json", "--epochs=90", "--test=train", "--tdp=2 kW", "--window=5"
    )
    said = joined(ran)
    assert ran.lines[0] == "energy: test_train: 8 of 90 epochs measured, 8.31 kJ"
    assert "start-up: 1 epoch, 1.30 kJ; stable from epoch 2 on: 1.00 kJ per epoch over 7" in said
    assert "EXTRAPOLATED, not measured: 90.4 kJ (0.0251 kWh) for all 90 epochs (95 % 90." in said
    assert "TDP x time gives 198 kJ (0.055 kWh) (2.00 kW for 99.0 s), 2.2 times as much" in said


def test_a_drift_is_reported(files: Path) -> None:
    """Epochs that never become stable are projected with a warning."""
    document: dict[str, Any] = json.loads((files / "plain.json").read_text())
    for number, round_ in enumerate(document["results"][0]["rounds"]):
        round_["energy_uj"]["cpu:0"] = (100 - 10 * number) * 1_000_000_000
    (files / "plain.json").write_text(json.dumps(document))
    said = asked(files, "training", "plain.json", "--epochs=90", "--test=train").out
    assert "energy: NOT STABLE: no 5 consecutive epochs" in said


@pytest.mark.parametrize(
    ("test", "epochs", "said"),
    [
        ("infer_twice", 90, "test_it.py::test_infer_twice: a round contains several calls"),
        ("train", 7, "test_it.py::test_train: 8 epochs were measured, more than 7 in total"),
        ("train", 10**23, "test_it.py::test_train: 1" + 23 * "0" + " epochs: expected at most"),
        ("warmed", 20, "test_it.py::test_warmed: 1 epoch before the first round is missing"),
    ],
)
def test_trainings_that_cannot_be_projected(files: Path, test: str, epochs: int, said: str) -> None:
    """A round must be an epoch, and the training must be longer than the measurement."""
    ran = refused(files, "whatif", "training", "plain.json", f"--test={test}", f"--epochs={epochs}")
    assert ran.startswith(said)


def test_epochs_of_repeated_rounds_are_reported(files: Path) -> None:
    """They were trained but not counted: they are projected like the others."""
    said = joined(training_with(files, {"before": 0, "later": 2}))
    assert "2 epochs after the first have no figure; projected like the others" in said


def test_a_file_that_does_not_know_what_came_before_says_so(files: Path) -> None:
    """A file of an earlier version does not say whether its first round was the first epoch."""
    said = joined(training_with(files, None))
    assert "this older file does not say whether epochs before the first round are missing" in said


def training_with(folder: Path, uncounted: dict[str, int] | None) -> Finished:
    """Return the answer for a training with these uncounted calls; None: an older file."""
    document: dict[str, Any] = json.loads((folder / "plain.json").read_text())
    assert document["results"][0].pop("uncounted") == {"before": 0, "later": 0}
    if uncounted is not None:
        document["results"][0]["uncounted"] = uncounted
    (folder / "plain.json").write_text(json.dumps(document))
    return asked(folder, "training", "plain.json", "--epochs=90", "--test=train")


def test_an_ascii_terminal_gets_ascii(files: Path) -> None:
    """Letters outside of ASCII are replaced."""
    arguments = ("region", "plain.json", "--region=FR")
    ran = run(files, "whatif", *arguments, PYTHONIOENCODING="ascii")
    assert (0, True) == (ran.code, ran.out.isascii())
    assert " ug CO2e" in ran.out


def test_a_question_is_needed(files: Path) -> None:
    """Without one the message names the argument."""
    ran = run(files, "whatif")
    assert (2, "") == (ran.code, ran.out)
    assert "QUESTION" in ran.err
