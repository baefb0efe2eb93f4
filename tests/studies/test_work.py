"""The benchmarks of counted work: their catalogues, and what they say of single cases."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.work import determinism, fidelity, regressions, twins
from benchmarks.work.counting import counted, differences, from_json, to_json
from benchmarks.work.fitting import FITTED
from benchmarks.work.workloads import OUTSIDE, WORKLOADS, make


def test_catalogues_are_as_large_as_their_pages_say() -> None:
    """There are enough workloads and regressions, and no weight is chosen on what is held out."""
    assert len(WORKLOADS) >= 40
    assert len(fidelity.HELD_OUT) >= 40
    assert len(regressions.CATALOGUE) >= 47
    assert fidelity.HELD_OUT.keys().isdisjoint(FITTED)
    assert OUTSIDE <= {*WORKLOADS, "torch.compile, inductor"}


def test_a_workload_is_the_same_when_it_is_built_again() -> None:
    """Two builds of a workload have the same counts, also after a trip through JSON."""
    one, other = counted(make("LSTM: AdamW step").call), counted(make("LSTM: AdamW step").call)
    assert differences(one, from_json(to_json(other))) == []


def test_a_process_that_counts_something_else_disagrees() -> None:
    """Another table, an error, or calls that differ are disagreements."""
    one, other = counted(make("float64").call), counted(make("LSTM: forward").call)
    reference = determinism.Found(one, None, 0)
    assert determinism.disagreement(reference, reference) is None
    assert "calls" in (determinism.disagreement(determinism.Found(other, None, 0), reference) or "")
    differ = determinism.Found(one, "calls differ", 0)
    assert determinism.disagreement(differ, reference) == "calls differ"
    assert determinism.disagreement(differ, differ) is None
    failed = determinism.Found(None, "ValueError: no", 0)
    assert determinism.disagreement(failed, reference) == "ValueError: no"


@pytest.mark.parametrize("name", ["GRU: AdamW step", "variational autoencoder: Adam step"])
def test_counted_twins_are_the_same(name: str) -> None:
    """Counting changes no bit of a training step."""
    assert twins.row(name) == [name, "–", "–", "0"]


@pytest.mark.parametrize("name", ["weights in float64", "list grown by cat", "int8 lost"])
def test_regressions_are_found_and_named(name: str) -> None:
    """The verdict fails the test, and its first line has a word that a reviewer expects."""
    found = regressions.compare(name)
    assert found.found
    assert found.named, found.verdict.largest


def test_what_torch_does_not_compute_is_not_seen() -> None:
    """A loop of Python changes no count."""
    found = regressions.compare("loop of Python over values")
    assert not found.seen
    assert regressions.row(found)[-3:] == ["same work", "–", "–"]


def test_weights_of_a_known_sum_are_found() -> None:
    """A fit returns the weights of which CPU times were made."""
    names = ["float64", "LSTM: forward", "autocast: forward", "GRU: forward", "dynamic int8"]
    names += ["jit.script", "spectrogram", "experts: forward", "graph messages: SGD step"]
    known = [2.0 * start for start in fidelity.START_S]
    found = []
    for name in names:
        work = counted(make(name).call)
        pairs = zip(fidelity.features(work), known, strict=True)
        found.append(fidelity.Measured(name, work, sum(a * b for a, b in pairs), 0.0))
    assert fidelity.fit(found) == pytest.approx(known, rel=0.05)


def test_a_custom_operator_is_one_call() -> None:
    """What it computes inside has no operator of its own, and FLOPs that are not known."""
    found = counted(make("custom operator").call)
    names = [each.name for each in found.operators]
    assert "greenops_benchmarks.gram" in names
    assert "aten.mm" not in names
