"""`pytest-greenops whatif work`: what it prints of a model on fake tensors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_greenops.commands.main import main

MODULE = """
import torch


def two():
    layer = torch.nn.Linear(1000, 1000, bias=False)
    rows = {"prefill": torch.randn(500, 1000), "decode": torch.randn(1, 1000)}
    return {name: torch.inference_mode()(lambda n=name: layer(rows[n])) for name in rows}


def large():
    layer = torch.nn.Linear(200_000, 250_000, bias=False)
    return lambda: layer(torch.randn(1, 200_000))


def reads_a_value():
    numbers = torch.randn(3)

    def call():
        return numbers.sum().item()

    return call
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with a module, which is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "counted_models.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("counted_models", None)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return the lines of an answer; none is wider than 80 columns."""
    pytest.importorskip("torch")
    assert 0 == main(["whatif", "work", *arguments])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    return lines


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the only line of an error."""
    assert 2 == main(["whatif", "work", *arguments])
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    assert "" == out
    return line.removeprefix("pytest-greenops: ")


@pytest.mark.needs_torch
def test_phases_per_call_and_per_token(capsys: pytest.CaptureFixture[str]) -> None:
    """Each phase has its table; what a call shares out among its tokens is printed per token."""
    units = ("--units=token=500", "--units=decode:token=1")
    lines = asked(capsys, "counted_models.py:two", "--dtype=bfloat16", *units)
    assert lines == [
        "work: COUNTED on fake tensors, not measured: counted_models.py:two, default",
        "dtype bfloat16",
        "",
        "prefill                             per call  per token",
        "  FLOP in bfloat16                   1 GFLOP    2 MFLOP",
        "  bytes moved by operators              4 MB       8 kB",
        "  parameters and inputs, read once      3 MB       6 kB",
        "  size of the parameters                2 MB",
        "  peak memory of tensors it makes       1 MB",
        "  calls of operators                       1",
        "",
        "decode                              per call  per token",
        "  FLOP in bfloat16                   2 MFLOP    2 MFLOP",
        "  bytes moved by operators              2 MB       2 MB",
        "  parameters and inputs, read once      2 MB       2 MB",
        "  size of the parameters                2 MB",
        "  peak memory of tensors it makes       2 kB",
        "  calls of operators                       1",
    ]


@pytest.mark.needs_torch
def test_bounds_are_labelled_and_have_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    """Time and energy are bounds of one device, whose memory would be too small."""
    lines = asked(capsys, "counted_models:large", "--device=H100", "--units=row=1")
    at = lines.index("bound, not a measurement")
    assert lines[at + 1 : at + 6] == [
        "  FLOP at the peak rates                1.49 ms    1.49 ms",
        "  parameters and inputs, read once      59.7 ms    59.7 ms",
        "  time at least                         59.7 ms    59.7 ms",
        "  energy at TDP, in that time            41.8 J     41.8 J",
        "  time at least, if nothing is fused    59.7 ms    59.7 ms",
    ]
    assert not any(word in " ".join(lines[:at]) for word in (" J", " W", "mJ", "CO2e"))
    said = " ".join(lines[at + 6 :])
    assert "bound, not a measurement: from the data sheet of one NVIDIA H100 SXM (NVIDIA " in said
    assert "2023): 66.9 TFLOP/s in float32 (not TF32), 3.35 TB/s, 700 W TDP. A call" in said
    assert "take 200 GB, and one device has 80 GB: the bound is for one device, as if" in said


@pytest.mark.needs_torch
def test_a_dtype_without_a_rate_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The V100 has no bfloat16: the bound is that of the bytes."""
    said = asked(capsys, "counted_models.py:two", "--dtype=bfloat16", "--device=v100")
    assert "bound: the data sheet has no rate for bfloat16: its FLOP are left out" in said
    assert not any("FLOP at the peak rates" in line for line in said)


@pytest.mark.needs_torch
def test_an_operator_that_needs_values_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the factory, the operator, and the line of the module."""
    pytest.importorskip("torch")
    said = refused(capsys, "counted_models.py:reads_a_value")
    assert said.startswith("counted_models.py:reads_a_value: aten._local_scalar_dense reads a ")
    assert said.endswith("(counted_models.py:20)")


@pytest.mark.needs_torch
def test_units_of_an_unknown_phase_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the phases."""
    pytest.importorskip("torch")
    said = refused(capsys, "counted_models.py:two", "--units=prefil:token=2")
    assert "--units prefil:token=2: expected one of prefill, decode before the colon" == said


def test_torch_is_needed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the message says how to install it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    said = refused(capsys, "counted_models.py:two")
    assert said.startswith("whatif work needs torch, which cannot be imported (")
    assert said.endswith("): python -m pip install torch")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--device=h1000", "no data sheet is known for device 'h1000': expected v100, a100, h100"),
        ("--units=token", "'token': expected UNIT=N with N > 0, e.g. token=2048"),
        ("--units=token=0", "'token=0': expected UNIT=N with N > 0"),
        ("--units==3", "'=3': expected UNIT=N with N > 0"),
        ("--dtype=int8", "invalid choice: 'int8'"),
    ],
)
def test_wrong_options_are_refused(
    capsys: pytest.CaptureFixture[str], option: str, said: str
) -> None:
    """The message names the option, and what is allowed."""
    with pytest.raises(SystemExit) as raised:
        main(["whatif", "work", "counted_models.py:two", option])
    assert 2 == raised.value.code
    err = capsys.readouterr().err
    assert said in err
    assert option.partition("=")[0] in err
