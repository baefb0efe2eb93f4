"""Facts about this machine and this process, from /proc and /sys among others."""

from pytest_greenops.machine.allocator import keep_memory
from pytest_greenops.machine.facts import gaps, machine_facts, recorded_facts
from pytest_greenops.machine.gpu import no_space_for
from pytest_greenops.machine.load import LoadProbe, LoadShare
from pytest_greenops.machine.software import (
    Revision,
    conditions,
    instrumented,
    origin,
    revision,
    versions,
)

__all__ = [
    "LoadProbe",
    "LoadShare",
    "Revision",
    "conditions",
    "gaps",
    "instrumented",
    "keep_memory",
    "machine_facts",
    "no_space_for",
    "origin",
    "recorded_facts",
    "revision",
    "versions",
]
