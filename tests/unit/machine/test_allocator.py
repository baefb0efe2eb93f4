"""The allocator: it keeps freed memory, unless its user or another library sets it up."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_greenops.machine import allocator, keep_memory
from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.run_options import StableMemory
from tests.unit.builders import message_of

KEPT = {"freed memory": "kept"}
#: Frees 64 MB in blocks of 1 MB, and shows what is left of them: in a process of its own.
SHOW = """
import json, sys
from pytest_greenops.machine import keep_memory

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

kept = keep_memory(sys.argv[1])
before_mb = resident_mb()
blocks = [bytearray(1 << 20) for _ in range(64)]
del blocks
print(json.dumps([kept, resident_mb() - before_mb]))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Replace the set-up of the allocator; return the list whose last value says if it works."""
    works = [True]
    monkeypatch.setattr(allocator, "_keep", lambda: works[-1])
    return works


@glibc
@pytest.mark.parametrize(("wanted", "kept"), [("auto", KEPT), ("on", KEPT), ("off", {})])
def test_freed_memory_stays_in_the_process(wanted: str, kept: dict[str, str]) -> None:
    """With auto and on, a process still has the memory that it freed; with off it does not."""
    environ = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", SHOW, wanted]
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        command, env={**environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True
    )
    condition, left_mb = json.loads(ran.stdout)
    assert condition == kept
    assert (left_mb > 50) is bool(kept)


@pytest.mark.parametrize(
    ("environ", "condition"),
    [
        ({}, KEPT),
        ({"MALLOC_TOP_PAD_": "9"}, {}),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, {}),
        ({"GLIBC_TUNABLES": "glibc.rtld.nns=8"}, KEPT),
    ],
    ids=["nothing", "variable", "tunable", "another tunable"],
)
def test_what_a_user_set_up_stays(
    set_up: list[bool], environ: dict[str, str], condition: dict[str, str]
) -> None:
    """With auto the settings of a user stay; on overrides them."""
    assert keep_memory("auto", environ) == condition
    assert keep_memory("on", environ) == KEPT
    assert keep_memory("off", environ) == {}


@pytest.mark.parametrize("wanted", ["auto", "off"])
def test_another_allocator_is_left_alone(set_up: list[bool], wanted: StableMemory) -> None:
    """Where glibc does not allocate, auto does nothing."""
    set_up.append(False)
    assert keep_memory(wanted, {}) == {}


def test_another_allocator_cannot_be_set_up(set_up: list[bool]) -> None:
    """There, on is an error that says what is allowed."""
    set_up.append(False)
    assert message_of(OptionError, lambda: keep_memory("on", {})) == (
        "energy_stable_memory=on: this process does not use the allocator of glibc; expected auto "
        "or off here"
    )
