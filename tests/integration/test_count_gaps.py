"""Each kind of work that a count leaves out: the output says so."""

from __future__ import annotations

import re

import pytest

from tests.integration.counted_projects import count, junit
from tests.integration.projects import Project

pytest.importorskip("torch", reason="needs torch: make test-studies")

WORK = """
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
from torch.utils.data import DataLoader

DATA = torch.ones(600, 600)


def busy(number=1_500_000):
    return sum(range(number))


def product():
    return DATA @ DATA


class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        busy()
        return torch.ones(8)


def compiled(**options):
    return torch.compile(lambda x: (x @ x).exp(), backend="eager", **options)


def test_compiled(energy):
    energy(compiled(), DATA)


def test_compiled_as_one_graph(energy):
    energy(compiled(fullgraph=True), DATA)


def test_operator_of_a_library(energy):
    library = torch.library.Library("gaps", "DEF")
    library.define("mix(Tensor x) -> Tensor")
    library.impl("mix", lambda x: x @ x, "CPU")
    energy(torch.ops.gaps.mix, DATA)


def test_no_formula(energy):
    energy(torch.linalg.svdvals, DATA[:200, :200])


def test_older_thread(energy):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(busy).result()
        energy(lambda: (product(), pool.submit(busy).result()))


def test_threads_of_the_call(energy):
    def call():
        threads = [threading.Thread(target=product) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    energy(call)


def test_data_loader(energy):
    energy(lambda: (product(), list(DataLoader(Slow(), num_workers=1))))


def test_subprocess(energy):
    energy(lambda: (product(), subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"])))


def test_python(energy):
    energy(lambda: (product(), busy()))


def test_numpy(energy):
    data = DATA.numpy()[:200, :200]
    energy(lambda: (product(), [numpy.linalg.svd(data) for _ in range(3)]))


def test_short(energy):
    energy(lambda: DATA[:2] + 1)
"""
SAID = {
    "test_compiled": "compiled parts counted as if they ran eagerly",
    "test_compiled_as_one_graph": "compiled parts counted as if they ran eagerly",
    "test_operator_of_a_library": "FLOP unknown of gaps.mix",
    "test_no_formula": "FLOP unknown of aten._linalg_svd",
    "test_older_thread": r"not counted: threads \(\d+ %\)",
    "test_threads_of_the_call": "peak memory varies from call to call",
    "test_data_loader": r"not counted: .*other processes \(\d+ %\)",
    "test_subprocess": r"not counted: .*other processes \(\d+ %\)",
    "test_python": r"not counted: .*what runs outside torch \(\d+ %\)",
    "test_numpy": r"not counted: .*what runs outside torch \(\d+ %\)",
    "test_short": "coverage unknown: the call takes less than 1 ms of CPU time",
}


def test_the_output_says_what_was_not_counted(project: Project) -> None:
    """Below the row of each test, with the work that was counted; no gap is silent."""
    project.write("test_it.py", WORK)
    project.monkeypatch.setenv("COLUMNS", "160")
    project.monkeypatch.setenv("OMP_NUM_THREADS", "1")
    below: dict[str, str] = {}
    name = ""
    for line in count(project, "--junitxml=junit.xml").lines:
        first = line.partition(" ")[0]
        name = first if first in SAID else name if line.startswith(" ") else ""
        if name:
            below[name] = f"{below.get(name, '')}{line}\n"
    silent = [name for name, said in SAID.items() if not re.search(said, below.get(name, ""))]
    assert silent == [], below
    of_junit = {
        case.get("name", ""): each.get("value", "")
        for case in junit(project).iter("testcase")
        for each in case.iter("property")
        if each.get("name") == "energy.work_not_counted"
    }
    assert [n for n, said in SAID.items() if not re.search(said, of_junit.get(n, ""))] == []


def test_threads_of_the_call_are_counted(project: Project) -> None:
    """Two threads compute two products."""
    project.write("test_it.py", WORK)
    ran = count(project, "-k", "threads_of_the_call")
    [result] = ran.results.values()
    assert result.work is not None
    assert result.work.totals.all_flop == 2 * 2 * 600**3
