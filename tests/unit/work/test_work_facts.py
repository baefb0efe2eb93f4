"""The facts on which two counts must agree."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.work.work_facts import COUNTING, work_facts  # noqa: E402


def test_the_build_of_torch_is_no_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same version for another device or by another distributor runs the same operators."""
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    facts = work_facts(torch)
    assert (facts["torch"], facts["counting"]) == ("2.13.0", COUNTING)


def test_onednn_that_is_switched_off() -> None:
    """Recurrent layers and convolutions run other operators then."""
    usual = work_facts(torch)["oneDNN"]
    with torch.backends.mkldnn.flags(enabled=False):
        assert work_facts(torch)["oneDNN"] == "off"
    assert work_facts(torch)["oneDNN"] == usual


def test_attention_that_is_switched_off() -> None:
    """Each kind of attention has an operator of its own."""
    before = torch.backends.cuda.flash_sdp_enabled()
    try:
        torch.backends.cuda.enable_flash_sdp(True)
        usual = work_facts(torch)["attention"].split(", ")
        torch.backends.cuda.enable_flash_sdp(False)
        assert work_facts(torch)["attention"].split(", ") == [n for n in usual if n != "flash"]
        assert "flash" in usual
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def older_torch(onednn: bool = True, **asked: bool) -> SimpleNamespace:
    """Return a torch that knows only these kinds of attention, and no switch of oneDNN."""
    cuda = {f"{name}_sdp_enabled": partial(bool, allowed) for name, allowed in asked.items()}
    mkldnn = SimpleNamespace(is_available=lambda: onednn)
    backends = SimpleNamespace(mkldnn=mkldnn, cuda=SimpleNamespace(**cuda))
    return SimpleNamespace(__version__="2.1.0", backends=backends)


def test_an_older_torch_has_fewer_facts() -> None:
    """A kind of attention that it does not know is not allowed; its oneDNN is always on."""
    facts = work_facts(older_torch(flash=True, mem_efficient=True, math=False))
    assert {name: facts[name] for name in ("torch", "oneDNN", "attention")} == {
        "torch": "2.1.0",
        "oneDNN": "on",
        "attention": "flash, memory-efficient",
    }
    assert work_facts(older_torch(onednn=False))["oneDNN"] == "off"
    assert work_facts(older_torch())["attention"] == "none"


def test_packages_with_models_have_their_version_once_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others are no fact."""
    for name in ("timm", "peft", "numpy_models"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["timm"], "__version__", "1.2", raising=False)
    facts = work_facts(torch)
    assert facts["timm"] == "1.2"
    assert facts.keys().isdisjoint({"peft", "numpy_models"})
