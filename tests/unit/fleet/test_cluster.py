"""Without Ray, or with one that cannot start here, the command says so in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_greenops.fleet.cluster import Cluster
from pytest_greenops.model.errors import GreenopsError
from tests.unit.builders import message_of


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets variables for Ray, which later tests do not get."""
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_UV_RUN_RUNTIME_ENV"):
        monkeypatch.setenv(name, "0")


def test_without_ray_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else of the package works without it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    assert message_of(GreenopsError, lambda: Cluster.connect("local", Path())) == (
        "a fleet needs Ray, which is not installed: pip install 'pytest-greenops[fleet]'"
    )


def test_a_ray_that_cannot_be_imported_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray imports amdsmi, which raises a `KeyError` on a machine without AMD's library."""
    (tmp_path / "ray.py").write_text("raise KeyError('libamd_smi.so')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    said = message_of(GreenopsError, lambda: Cluster.connect("local", Path()))
    assert said.startswith("Ray cannot be imported (KeyError: 'libamd_smi.so'); it fails beside")


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what Ray says, the line has the first one, and what an address may be."""

    def init(address: str, **options: object) -> None:
        raise ConnectionError("no answer\nfurther advice")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    assert message_of(GreenopsError, lambda: Cluster.connect("ray://x:1", Path())) == (
        "--address=ray://x:1: Ray cannot be reached (no answer); expected local, auto, or the "
        "address of a running cluster such as ray://HOST:10001"
    )
