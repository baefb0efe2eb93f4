"""Axes of the studies: the values of a run, and errors."""

from __future__ import annotations

import pytest

from tests.studies.projects import Study

TESTS = """
from benchmarks.axes import Axis

KIND = Axis("kind", {"a": "A", "b": "B"}, slice=("b",))
SIZE = Axis("size", {"1": 1, "2": 2, "30": 30}, slice=("1", "30"))
MODEL = Axis("model", {"tiny": "T", "large": "L"}, slice=("tiny",), loads="ForCausalLM")


@KIND.mark
@SIZE.mark
def test_both(size, kind):
    assert (size, kind) != (2, "A")


@MODEL.mark
def test_model(model):
    pass


def test_none(request):
    assert not hasattr(request.node, "callspec")
"""


@pytest.fixture
def axes(study: Study) -> Study:
    """A project with a test over two axes, and one over a third that a checkpoint can replace."""
    study.write("test_axes.py", TESTS)
    return study


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "test_both[size1-b] test_both[size30-b] test_model[tiny] test_none"),
        (
            "--bench-full",
            "test_both[size1-a] test_both[size1-b] test_both[size2-a] test_both[size2-b] "
            "test_both[size30-a] test_both[size30-b] test_model[tiny] test_model[large] test_none",
        ),
        (
            "--bench-axis=size=2,1 --bench-axis=model=large",
            "test_both[size1-b] test_both[size2-b] test_model[large] test_none",
        ),
        (
            "--bench-full --bench-axis=size=1 --bench-axis=size=30 -kboth",
            "test_both[size1-a] test_both[size1-b] test_both[size30-a] test_both[size30-b]",
        ),
        ("--energy-model=some/real", "test_model[real]"),
    ],
    ids=["slice", "full", "chosen", "chosen of full", "checkpoint"],
)
def test_selection(axes: Study, options: str, expected: str) -> None:
    """Options select values in the order of the axis; other axes keep their slices.

    Ids of numbers begin with their axis. A checkpoint replaces the values of axes that load it, and
    deselects other tests.
    """
    assert expected.split() == axes.collected(*options.split())


def test_facts(study: Study) -> None:
    """The ids of a test on its axes are among its facts."""
    study.write(
        "test_it.py",
        """
        from benchmarks.axes import Axis


        @Axis("size", {"30": 30}, slice=("30",)).mark
        def test_it(size, request, facts):
            facts(parameters=7)
            assert [("study.size", "30"), ("study.parameters", 7)] == request.node.user_properties
        """,
    )
    assert {"passed": 1} == study.run().outcomes


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ("colour=red", "--bench-axis colour: expected one of: kind, model, size"),
        ("size=30,4", "--bench-axis size=4: expected one of: 1, 2, 30"),
        ("size", "--bench-axis size: expected NAME=ID,ID"),
        ("size=", "--bench-axis size=: expected NAME=ID,ID"),
        ("=30", "--bench-axis =30: expected NAME=ID,ID"),
    ],
)
def test_invalid_choice(axes: Study, choice: str, error: str) -> None:
    """An unknown axis or value, or a choice in another form, ends the run with one line."""
    assert (4, [f"ERROR: {error}"]) == axes.refusal(f"--bench-axis={choice}")


def test_checkpoint(axes: Study) -> None:
    """Tests that cannot run the checkpoint are deselected."""
    assert {"passed": 1, "deselected": 3} == axes.run("--energy-model=some/real").outcomes


def test_checkpoint_with_other_axes(study: Study) -> None:
    """A test of the checkpoint still runs over its other axes."""
    study.write(
        "test_it.py",
        """
        from benchmarks.axes import Axis


        @Axis("batch", {"1": 1, "2": 2}, slice=("1",)).mark
        @Axis("model", {"tiny": "T"}, slice=("tiny",), loads="ForCausalLM").mark
        def test_it(model, batch):
            pass
        """,
    )
    expected = ["test_it[real-batch1]", "test_it[real-batch2]"]
    assert expected == study.collected("--energy-model=some/real", "--bench-full")
