"""The ten tasks: models, loading and tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from benchmarks.checkpoints import Checkpoint
from benchmarks.tables import Row, Table
from benchmarks.tasks.catalogue import TASKS, name_of
from benchmarks.tasks.configurations import SIZES
from benchmarks.tasks.inference import load, saved
from benchmarks.tasks.report import tables

SMALL = SIZES["small"]
WH = 3600.0


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_there_are_the_ten_tasks_of_the_study() -> None:
    """Ten tasks of text and images, each with its own model."""
    assert 10 == len(TASKS) == len({task.model for task in TASKS.values()})


@pytest.mark.parametrize("name", TASKS)
def test_a_model_answers_one_input(name: str) -> None:
    """The model of a task returns a finite output of the expected shape."""
    task = TASKS[name]
    model = task.build(SMALL)
    with torch.inference_mode():
        found = task.infer(model, task.inputs_of(model, SMALL), SMALL)
    assert task.shape(SMALL) == found.shape
    assert torch.isfinite(found).all()
    assert not model.training


@pytest.mark.parametrize("name", TASKS)
def test_a_checkpoint_has_the_task_of_its_class(name: str, tmp_path: Path) -> None:
    """A checkpoint is assigned to the task of its class."""
    TASKS[name].build(SMALL).save_pretrained(tmp_path)
    assert name == name_of(Checkpoint(str(tmp_path)))


def test_a_loaded_model_is_the_saved_one() -> None:
    """Loading returns the same weights in evaluation mode, and leaves no files."""
    model = TASKS["text_classification"].build(SMALL)
    with saved(model) as checkpoint:
        folder = Path(checkpoint.config.name_or_path)
        loaded = load(checkpoint, torch.device("cpu"))
        assert (folder / "model.safetensors").is_file()
    assert not folder.exists()
    assert not loaded.training
    assert all(map(torch.equal, loaded.state_dict().values(), model.state_dict().values()))


def test_loading_is_in_no_inference() -> None:
    """8.3 J per inference are 0.0023 kWh per 1,000, although loading used 2.42 Wh."""
    rows = [_inference("text_classification", 8.3), _load("text_classification", 2.42 * WH)]
    energy, _ = tables(rows)
    assert [("text classification", "8.30 J", "0.0023", "1.0", "8.71 kJ")] == _rows(energy)


def test_tasks_are_compared_with_the_first() -> None:
    """Tasks are sorted by joules, with ratios to the first; without loading there is a dash."""
    rows = [_inference("image_generation", 12.0), _inference("text_classification", 0.5, True)]
    energy, models = tables(rows)
    assert [
        ("text classification", "~500 mJ", "0.00014", "1.0", "–"),
        ("image generation", "12.0 J", "0.0033", "24.0", "–"),
    ] == _rows(energy)
    assert energy.note.endswith("~: estimated, not sensed.")
    assert ("text classification", "SomeModel", "1,234,567") == _rows(models)[0]


def test_sizes_are_not_compared() -> None:
    """Each size has its own tables, and so has a checkpoint, under its name."""
    rows = [_inference("summarisation", 1.0, size=size) for size in ("small", "my-t5")]
    small, _, own, _ = tables(rows)
    assert "Ten tasks, small: energy of 1,000 inferences" == small.title
    assert "Ten tasks, my-t5: energy of 1,000 inferences" == own.title
    assert "random weights" in small.note
    assert "random weights" not in own.note


def test_loads_alone_make_no_table() -> None:
    """Without inferences there are no tables."""
    assert [] == list(tables([_load("summarisation", 3.0)]))


def test_tables_fit_a_terminal() -> None:
    """Tables of all tasks are at most 79 columns wide."""
    rows = [row for name in TASKS for row in (_inference(name, 0.123), _load(name, 123.0, True))]
    lines = [line for table in tables(rows) for line in table.markdown() if line.startswith("|")]
    assert max(map(len, lines)) <= 79


def _inference(task: str, joules: float, estimated: bool = False, size: str = "small") -> Row:
    facts = {"task": task, "size": size, "model": "SomeModel", "parameters": 1_234_567}
    figures: Mapping[str, object] = {
        "joules": joules,
        "per_unit.inference": joules,
        "estimated": estimated,
    }
    return Row("test_inference", facts, {"call": figures})


def _load(task: str, joules: float, estimated: bool = False) -> Row:
    figures: Mapping[str, object] = {"joules": joules, "estimated": estimated}
    return Row("test_load", {"task": task, "size": "small"}, {"load": figures})


def _rows(table: Table) -> list[tuple[str, ...]]:
    return [tuple(row) for row in table.rows]
