"""The axes of the studies: which values a run takes, and what it refuses."""

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
    """A project with a test over two axes, one over a third that a checkpoint may replace."""
    study.write("test_axes.py", TESTS)
    return study


def test_slice(axes: Study) -> None:
    """Without options a test runs over the slices; the ids of numbers begin with their axis."""
    expected = ["test_both[size1-b]", "test_both[size30-b]", "test_model[tiny]", "test_none"]
    assert expected == axes.collected()


def test_full(axes: Study) -> None:
    """With `--bench-full` it runs over all values."""
    expected = [f"test_both[size{size}-{kind}]" for size in (1, 2, 30) for kind in "ab"]
    assert [*expected, "test_model[tiny]", "test_model[large]", "test_none"] == axes.collected(
        "--bench-full"
    )


def test_chosen(axes: Study) -> None:
    """Chosen values take the place of a slice, in the axis' order; other axes keep theirs."""
    found = axes.collected("--bench-axis=size=2,1", "--bench-axis=model=large")
    assert ["test_both[size1-b]", "test_both[size2-b]", "test_model[large]", "test_none"] == found


def test_chosen_of_full(axes: Study) -> None:
    """A choice holds with `--bench-full` too, and may come in several options."""
    found = axes.collected("--bench-full", "--bench-axis=size=1", "--bench-axis=size=30", "-kboth")
    sizes = [f"test_both[size{size}-{kind}]" for size in (1, 30) for kind in "ab"]
    assert sizes == found


def test_facts(study: Study) -> None:
    """A test's place on its axes is among its facts, by the axis' own ids."""
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
        ("colour=red", "--bench-axis colour: no such axis; there are: kind, model, size"),
        ("size=30,4", "--bench-axis size=4: is none of 1, 2, 30"),
        ("size", "--bench-axis size: write NAME=ID,ID"),
        ("size=", "--bench-axis size=: write NAME=ID,ID"),
        ("=30", "--bench-axis =30: write NAME=ID,ID"),
    ],
)
def test_refused(axes: Study, choice: str, error: str) -> None:
    """A choice of no axis, of no value, or not written so ends the run with one line."""
    assert (4, [f"ERROR: {error}"]) == axes.refusal(f"--bench-axis={choice}")


def test_checkpoint(axes: Study) -> None:
    """A checkpoint replaces the values of the axes that it fits; tests without one are left out."""
    assert ["test_model[real]"] == axes.collected("--energy-model=some/real")
    assert {"passed": 1, "deselected": 3} == axes.run("--energy-model=some/real").outcomes


def test_checkpoint_beside_other_axes(study: Study) -> None:
    """A test that runs the checkpoint still runs over its other axes."""
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
