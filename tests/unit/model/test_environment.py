"""Environments: fingerprints, folder names, and why two are not comparable."""

from __future__ import annotations

import re

import pytest

from pytest_greenops.model.environment import Environment

MACHINE = {"cpu": "AMD EPYC 9654", "cores": "4", "sensors": "powercap nvml", "gpu": "NVIDIA H100"}


def environment(conditions: dict[str, str] | None = None, **facts: str) -> Environment:
    """Return a machine that differs from `MACHINE` in these facts."""
    return Environment({**MACHINE, **facts}, conditions or {})


def test_the_fingerprint_is_eight_digits_over_all_facts() -> None:
    """Any changed, added or missing fact changes it; their order does not."""
    turned = Environment(dict(reversed(MACHINE.items())))
    fingerprints = {
        environment().fingerprint,
        environment(cpu="AMD EPYC 9655").fingerprint,
        environment(governor="powersave").fingerprint,
        Environment({}).fingerprint,
    }
    assert len(fingerprints) == 4
    assert turned.fingerprint == environment().fingerprint
    assert re.fullmatch("[0-9a-f]{8}", environment().fingerprint)


def test_the_fingerprint_is_stable() -> None:
    """It names folders that users commit, so it must never change."""
    assert Environment({"cpu": "x", "cores": "4"}).fingerprint == "f4fd094b"


def test_only_facts_of_the_machine_are_in_the_fingerprint() -> None:
    """Conditions and recorded facts do not change it."""
    other = Environment(MACHINE, {"threads": "8"}, {"kernel": "6.8"})
    assert environment().fingerprint == other.fingerprint


def test_the_folder_name_is_readable_and_ends_in_the_fingerprint() -> None:
    """It has CPU, cores, GPU and sensors in lower case, safe for file systems."""
    here = environment()
    assert f"amd-epyc-9654-4c-nvidia-h100-powercap-nvml-{here.fingerprint}" == here.slug


def test_a_long_folder_name_is_cut_before_the_fingerprint() -> None:
    """The folder name stays short and unique."""
    one, two = environment(cpu="Intel(R) Xeon(R) " * 9), environment(cpu="Intel(R) Xeon(R) " * 8)
    assert (one.slug[:30], len(one.slug) <= 69) == ("intel-r-xeon-r-intel-r-xeon-r-", True)
    assert (one.slug[:-8], one.slug[-8:]) == (two.slug[:-8], one.fingerprint)
    assert one.slug != two.slug


def test_differences_are_listed_from_there_to_here() -> None:
    """Facts come first, sorted by name, then conditions."""
    here = environment({"threads": "8"}, cpu="B", affinity="0-3")
    there = environment({"threads": "4"}, cpu="A")
    assert here.differences(there) == ("affinity: unset -> 0-3", "cpu: A -> B", "threads: 4 -> 8")


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (environment({"threads": "8"}), environment({"threads": "8"})),
        (environment({"tf32": "on"}), environment()),
        (environment(), environment({"tf32": "on"})),
        (Environment(MACHINE, {}, {"kernel": "6.8"}), Environment(MACHINE, {}, {"kernel": "6.9"})),
    ],
    ids=["equal", "only here", "only there", "recorded"],
)
def test_comparable_machines_have_no_difference(here: Environment, there: Environment) -> None:
    """A condition of one side is of a library that the other had not loaded; kernels may differ."""
    assert here.differences(there) == ()


def test_memory_that_is_kept_in_only_one_is_a_difference() -> None:
    """The same work may use much less there, so an older baseline is not comparable."""
    kept, older = environment({"freed memory": "kept"}), environment({"threads": "8"})
    assert kept.differences(older) == ("freed memory: returned -> kept",)
    assert older.differences(kept) == ("freed memory: kept -> returned",)
