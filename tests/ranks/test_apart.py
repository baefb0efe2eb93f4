"""Ranks that die or hang, estimates of each rank's processes, and two hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ranks.jobs import started, torchrun, write

pytest.importorskip("torch")

ENDS = """
import os, time


def test_before(energy, spend):
    energy(lambda: spend(2.0))


def test_ends(energy, spend, rank):
    calls = []

    def step():
        spend(2.0)
        calls.append(1)
        if rank == 2 and len(calls) == 6:
            {end}

    energy(step)


def test_after(energy, spend):
    energy(lambda: spend(2.0))
"""
#: The network card of each host.
CABLE = "go0"
LATE = "rank 2 did not come within 2 s (energy_rank_wait): it hangs or has ended"


def test_a_rank_that_dies_leaves_tests_unmeasured(tmp_path: Path) -> None:
    """The others wait once, say which rank is missing, and run to their end."""
    write(tmp_path, ENDS.format(end="os._exit(9)"), wait="2 s")
    codes, job = started(tmp_path, 3, "--energy")
    assert codes == [0, 0, 9]
    assert job.verdicts == {
        "test_before": "no baseline",
        "test_ends": f"not measured: {LATE}",
        "test_after": f"not measured: {LATE}",
    }


def test_torchrun_fails_where_a_rank_dies(tmp_path: Path) -> None:
    """It ends all others at once."""
    write(tmp_path, ENDS.format(end="os._exit(9)"))
    assert torchrun(tmp_path, 3, "--energy").code == 1


def test_a_rank_that_hangs_leaves_tests_unmeasured(tmp_path: Path) -> None:
    """It goes on without a measurement when it comes back."""
    write(tmp_path, ENDS.format(end="time.sleep(6)"), wait="2 s")
    codes, job = started(tmp_path, 3, "--energy", port=29412)
    assert codes == [0, 0, 0]
    assert job.verdicts["test_ends"] == f"not measured: {LATE}"
    assert job.verdicts["test_after"] == f"not measured: {LATE}"


def test_what_each_rank_sees_of_its_processes_is_summed(tmp_path: Path) -> None:
    """Three ranks that spend 1, 2 and 3 J spend 6 J."""
    write(tmp_path, "def test_it(energy, spend, rank):\n    energy(lambda: spend(1.0 + rank))\n")
    codes, job = started(tmp_path, 3, "--energy", port=29413, OWN="1")
    assert codes == [0, 0, 0]
    assert job.results["test_it"].joules == pytest.approx(6.0, rel=1e-3)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[int, tuple[str, ...]]]:
    """What starts the processes of ranks on two hosts: two network namespaces, joined by a cable.

    Each host has its own boot id. Ranks 0 and 2 are on the first.
    """
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("two hosts need root, and ip (iproute2) and unshare")
    names = [f"greenops-{os.getpid()}-{host}" for host in range(2)]
    ends = [f"go{os.getpid()}e{host}" for host in range(2)]
    try:
        for name in names:
            if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
                pytest.skip("this system allows no network namespaces")
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for host, (name, end) in enumerate(zip(names, ends, strict=True)):
            (tmp_path / f"boot-{host}").write_text(f"host-{host}\n")
            _ip("link", "set", end, "netns", name, "name", CABLE)
            _ip("-n", name, "addr", "add", f"10.77.0.{host + 1}/24", "dev", CABLE)
            _ip("-n", name, "link", "set", CABLE, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield {rank: _on_host(names[rank % 2], tmp_path / f"boot-{rank % 2}") for rank in range(4)}
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


def _on_host(network: str, boot_id: Path) -> tuple[str, ...]:
    mounts = f'mount --bind {boot_id} /proc/sys/kernel/random/boot_id && exec "$@"'
    enter = ("ip", "netns", "exec", network, "unshare", "--mount")
    return (*enter, "sh", "-c", mounts, "sh")


def test_two_hosts_are_counted_once_each(tmp_path: Path, hosts: dict[int, tuple[str, ...]]) -> None:
    """Of four ranks, the first of each host is read; the job's own group spans both hosts."""
    write(
        tmp_path,
        """
        import torch
        import torch.distributed as dist


        def test_it(energy, spend, rank):
            dist.init_process_group("gloo")

            def step():
                spend([2.0, 5.0, 100.0, 100.0][rank])
                total = torch.ones(3)
                dist.all_reduce(total)
                return total

            assert energy(step)[0] == 4
            dist.destroy_process_group()
        """,
    )
    place = {"prefix": hosts, "address": "10.77.0.1", "GLOO_SOCKET_IFNAME": CABLE}
    codes, job = started(tmp_path, 4, "--energy", **place)
    assert codes == [0, 0, 0, 0], job.printed
    result = job.results["test_it"]
    assert result.joules == pytest.approx(7.0, rel=1e-3)
    joules = {
        domain.name: round_uj
        for domain, round_uj in zip(
            result.domains,
            (result.rounds[0].energy_uj[d.name] for d in result.domains),
            strict=True,
        )
    }
    iterations = result.rounds[0].iterations
    assert joules["cpu:0"] / iterations == pytest.approx(2e6, rel=1e-3)
    assert joules["cpu:1"] / iterations == pytest.approx(5e6, rel=1e-3)
