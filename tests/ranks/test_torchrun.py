"""Tests in every rank of a job that torchrun starts, whose joules are known."""

from __future__ import annotations

import json
import re

import pytest

from tests.ranks.jobs import Ranks, torchrun, write

pytest.importorskip("torch")

TESTS = """
import os

import pytest, torch
import torch.distributed as dist


@pytest.fixture(scope="module")
def group():
    dist.init_process_group("gloo")
    yield
    dist.destroy_process_group()


def test_collective(energy, spend, rank, group):
    energy.units(sample=8)

    def step():
        spend(2.0 if rank == 0 else 100.0)
        total = torch.ones(3) + torch.ones(3)
        dist.all_reduce(total)
        return total

    assert energy(step)[0] == 8
    result = energy.results["call"]
    assert result.joules == pytest.approx(2.0, rel=1e-3)
    assert {op.name: op.amount.calls for op in result.work.operators}["aten.add"] == 4


@pytest.mark.energy_budget("1 J")
def test_over(energy, spend):
    energy(lambda: spend(2.0))


def test_windows(energy, spend, rank):
    for _ in energy.rounds():
        with energy.measure("prefill"):
            spend(1.0)
        with energy.measure("decode"):
            spend(4.0)


@pytest.mark.skipif(os.environ["RANK"] == "2", reason="rank 2")
def test_skipped_in_one(energy, spend):
    energy(lambda: spend(2.0))


if os.environ["RANK"] != "1":
    def test_not_in_one(energy, spend):
        energy(lambda: spend(2.0))


def test_fails_in_one(energy, spend, rank):
    energy(lambda: spend(2.0))
    assert rank != 3


def test_raises_in_a_window(energy, spend, rank):
    def step():
        spend(2.0)
        if rank == 3:
            raise ValueError("in rank 3")

    energy(step)


def test_sound_again(energy, spend):
    energy(lambda: spend(2.0))
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """A job of four ranks."""
    folder = tmp_path_factory.mktemp("job")
    write(folder, TESTS)
    return torchrun(folder, 4, "-v", "--energy-save")


def test_a_host_is_counted_once(job: Ranks) -> None:
    """The counter of one rank is that of the host: the others' 100 J are not there."""
    assert job.results["test_collective"].joules == pytest.approx(2.0, rel=1e-3)
    assert job.results["test_sound_again"].joules == pytest.approx(2.0, rel=1e-3)


def test_units_of_all_ranks_are_summed(job: Ranks) -> None:
    """Four ranks that do 8 samples each do 32."""
    assert job.results["test_collective"].per_unit["sample"] == pytest.approx(2.0 / 32, rel=1e-3)


def test_work_of_all_ranks_is_summed(job: Ranks) -> None:
    """Each makes two tensors and adds them; the test sees the sum in every rank."""
    work = job.results["test_collective"].work
    assert not isinstance(work, str)
    assert work is not None
    calls = {operator.name: operator.amount.calls for operator in work.operators}
    assert calls["aten.add"] == 4
    assert work.facts["ranks"] == "4"


def test_the_verdict_of_rank_0_fails_the_test_in_all_ranks(job: Ranks) -> None:
    """torchrun fails, and each rank says why."""
    assert job.code == 1
    for rank, printed in enumerate(job.printed):
        assert "test_it.py::test_over OVER BUDGET" in printed, rank
        assert "EnergyBudgetExceeded: call used 2.00 J, budget 1.00 J" in printed, rank
        assert _section(printed) == _section(job.printed[0]), rank


def _section(printed: str) -> str:
    """Return what a rank prints below the failure of `test_over`."""
    return re.split("\n[\n_=]", printed.partition(" test_over ")[2])[0]


def test_only_rank_0_writes_and_reports(job: Ranks) -> None:
    """One baseline for each sound test, one report, one table."""
    assert sorted(file.stem for file in (job.folder / "baselines").glob("*/test_it.py/*")) == [
        *("test_collective", "test_collective", "test_sound_again", "test_windows"),
    ]
    assert "energy: saving the results" in job.printed[0]
    for printed in job.printed[1:]:
        assert "energy: " not in printed
        assert "no baseline" not in printed


def test_a_baseline_is_of_a_number_of_ranks(job: Ranks) -> None:
    """Four ranks are another machine than two."""
    (file,) = (job.folder / "baselines").glob("*-fake-*/test_it.py/test_sound_again.json")
    machine = json.loads(file.read_text())["machine"]
    assert (machine["ranks"], machine["hosts"]) == ("4", "1")


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("test_skipped_in_one", "rank 2: its test failed, was skipped, or measured less"),
        ("test_not_in_one", "rank 1 has no such test"),
        ("test_raises_in_a_window", "rank 3: its test failed, was skipped, or measured less"),
    ],
)
def test_what_not_all_ranks_do_is_not_measured(job: Ranks, test: str, why: str) -> None:
    """The reason names the rank, and the tests after it are measured."""
    assert job.verdicts[test] == f"not measured: {why}"


def test_what_fails_in_one_rank_is_not_saved(job: Ranks) -> None:
    """It is measured: the test failed after that."""
    result = job.results["test_fails_in_one"]
    assert result.joules == pytest.approx(2.0, rel=1e-3)
    assert result.not_saved == "the test did not pass in another rank"
