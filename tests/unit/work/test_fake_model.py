"""Work of models on fake tensors, against figures computed by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_greenops.model.device_bound import Phase
from pytest_greenops.model.errors import InsightError
from pytest_greenops.work.counting_trip import CountingTrip
from pytest_greenops.work.fake_model import count_phases

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch


def counted(factory: Callable[[], Any], dtype: str | None = None) -> Phase:
    """Return the work of the only phase."""
    [phase] = count_phases(torch, factory, dtype, lambda error: "")
    return phase


def refused(factory: Callable[[], Any]) -> str:
    """Return the message for a factory that cannot be counted."""
    with pytest.raises(InsightError) as raised:
        counted(factory)
    return str(raised.value)


def two_layers() -> Callable[[], Any]:
    """Return a call of 16 -> 64 -> 8 with 4 rows."""
    model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
    rows = torch.randn(4, 16)
    return torch.inference_mode()(lambda: model(rows))


def test_two_layers() -> None:
    """FLOP, bytes, parameters and peak memory of two layers and the activation between them."""
    phase = counted(two_layers)
    inputs, hidden, outputs = 4 * 16 * 4, 4 * 64 * 4, 4 * 8 * 4
    first, second = (16 * 64 + 64) * 4, (64 * 8 + 8) * 4
    totals = phase.totals
    assert {"float32": 2 * 4 * (16 * 64 + 64 * 8)} == totals.flop
    assert inputs + first + hidden + 2 * hidden + hidden + second + outputs == totals.moved
    assert (first + second, inputs + first + second) == (phase.parameter_bytes, phase.read_bytes)
    assert (3, 2 * hidden) == (totals.calls, totals.peak_bytes)


def test_the_dtype_halves_the_bytes_and_is_reset() -> None:
    """In bfloat16 there are as many operations and half of the bytes."""
    single, half = counted(two_layers), counted(two_layers, "bfloat16")
    assert {"bfloat16": single.totals.flop["float32"]} == half.totals.flop
    assert (single.totals.moved, single.read_bytes) == (2 * half.totals.moved, 2 * half.read_bytes)
    assert torch.float32 == torch.get_default_dtype()


def test_fake_and_real_tensors_count_alike() -> None:
    """A model that fits is counted as on real tensors."""
    trip = CountingTrip(torch, lambda: None)
    call = two_layers()
    with trip.window("call"):
        call()
    [tally] = trip.tallies.values()
    real = {op: (a.flop, a.read, a.written) for op, a in tally.operators.items()}
    totals = counted(two_layers).totals
    assert sum(flop for flop, _, _ in real.values()) == totals.all_flop
    assert sum(read + written for _, read, written in real.values()) == totals.moved
    assert tally.memory.peak_bytes == totals.peak_bytes


def test_a_model_that_no_machine_can_hold() -> None:
    """A layer with 10^12 weights does 2 x 10^12 operations for a row."""

    def huge() -> Callable[[], Any]:
        layer = torch.nn.Linear(10**6, 10**6, bias=False)
        row = torch.randn(1, 10**6)
        return lambda: layer(row)

    phase = counted(huge)
    assert ({"float32": 2 * 10**12}, 4 * 10**12) == (phase.totals.flop, phase.parameter_bytes)


@pytest.mark.parametrize(("causal", "pairs"), [(False, 8 * 8), (True, 8 * 9 // 2)])
def test_causal_attention_counts_up_to_the_diagonal(causal: bool, pairs: int) -> None:
    """A query and a key cost a product of 4 in each of 2 heads, and so do a weight and a value."""

    def attention() -> Callable[[], Any]:
        q, k, v = (torch.randn(1, 2, 8, 4) for _ in range(3))
        attend = torch.nn.functional.scaled_dot_product_attention
        return lambda: attend(q, k, v, is_causal=causal)

    assert {"float32": 2 * 2 * pairs * (4 + 4)} == counted(attention).totals.flop


def test_an_embedding_reads_rows() -> None:
    """Of 1,000 rows of 64 bytes three are read, and three numbers; the table has its whole size."""

    def lookup() -> Callable[[], Any]:
        table, rows = torch.nn.Embedding(1000, 16), torch.tensor([1, 2, 3])
        return lambda: table(rows)

    phase = counted(lookup)
    assert (3 * 64 + 3 * 8, 64_000) == (phase.read_bytes, phase.parameter_bytes)


def test_tied_weights_count_once() -> None:
    """A matrix that is both an embedding and a layer is one parameter, and is read once."""

    def tied() -> Callable[[], Any]:
        table, rows = torch.nn.Embedding(100, 16), torch.tensor([[1, 2]])
        head = torch.nn.Linear(16, 100, bias=False)
        head.weight = table.weight
        return torch.inference_mode()(lambda: head(table(rows)))

    phase = counted(tied)
    assert (6400, 6400 + 2 * 8) == (phase.parameter_bytes, phase.read_bytes)


def test_phases_and_their_caches() -> None:
    """Each function of a dict is a phase; a cache from outside is read, one made inside is not."""

    def phases() -> dict[str, Callable[[], Any]]:
        cache, new = torch.randn(100, 8), torch.randn(1, 8)
        layer = torch.nn.Linear(8, 8, bias=False)
        return {
            "prefill": torch.inference_mode()(lambda: layer(torch.zeros(100, 8))),
            "decode": torch.inference_mode()(lambda: torch.cat([cache, layer(new)])),
        }

    prefill, decode = count_phases(torch, phases, None, lambda error: "")
    assert ("prefill", 256) == (prefill.name, prefill.read_bytes)
    assert ("decode", 256 + 3200 + 32) == (decode.name, decode.read_bytes)


def test_a_step_of_training() -> None:
    """Forward, and the gradients of weights and inputs of each layer but the first; AdamW runs."""

    def step() -> Callable[[], Any]:
        model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Linear(64, 8))
        optimizer, rows = torch.optim.AdamW(model.parameters()), torch.randn(4, 16)

        def train() -> None:
            model(rows).sum().backward()
            optimizer.step()

        return train

    assert {"float32": 2 * 4 * (2 * 16 * 64 + 3 * 64 * 8)} == counted(step).totals.flop


def test_copied_layers(capfd: pytest.CaptureFixture[str]) -> None:
    """A fused encoder of copied layers: projections and MLP of 4 rows, and attention of 2 pairs."""

    def encoder() -> Callable[[], Any]:
        layer = torch.nn.TransformerEncoderLayer(16, 2, 64, batch_first=True)
        model, rows = torch.nn.TransformerEncoder(layer, 3).eval(), torch.randn(2, 2, 16)
        return torch.inference_mode()(lambda: model(rows))

    phase = counted(encoder)
    weights = 4 * 16 * 16 + 2 * 16 * 64
    assert {"float32": 3 * (2 * 4 * weights + 2 * 4 * 2 * 2 * 16)} == phase.totals.flop
    assert 3 * 4 * (weights + 4 * 16 + 64 + 16 + 4 * 16) == phase.parameter_bytes
    assert ("", "") == capfd.readouterr()


def test_tensors_made_outside_become_fake() -> None:
    """Parameters of a model that was made before the factory ran are counted too."""
    layer = torch.nn.Linear(8, 8, bias=False)
    phase = counted(lambda: lambda: layer(torch.zeros(1, 8)))
    assert (256, 256) == (phase.parameter_bytes, phase.read_bytes)


def reads_a_value() -> Callable[[], Any]:
    """Return a call that needs to know a value."""
    numbers = torch.randn(3)
    return lambda: 1 if numbers.sum() > 0 else 2


def shape_by_value() -> Callable[[], Any]:
    """Return a call whose result has a shape that depends on values."""
    numbers = torch.randn(3)
    return lambda: numbers[numbers > 0]


def test_operators_that_need_values_are_named() -> None:
    """Reading a value, and a shape that depends on values; the message says what to do."""
    value, shape = refused(reads_a_value), refused(shape_by_value)
    assert value.startswith("aten._local_scalar_dense reads a value of a tensor (.item(), ")
    assert shape.startswith("aten.nonzero returns a tensor whose shape depends on values, but a ")
    assert "count a function that does not call it" in value


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda: torch.nn.Linear(2, 2), "the factory returns a model: return a function that "),
        (lambda: 3, "the factory returns 3: expected a function without arguments that does one"),
        (dict, "the factory returns {}: expected a function"),
        (lambda: {"a": 1}, "the factory returns {'a': 1}: expected a function"),
        (lambda: torch.nn.Linear(2, 2).half(), "a model of fake tensors cannot be converted (.to("),
        (lambda: lambda: torch.ones(2, 3) @ torch.ones(2, 3), "RuntimeError: a and b must have"),
        (lambda: lambda: [][0], "IndexError: list index out of range"),
    ],
)
def test_factories_that_cannot_be_counted(
    factory: Callable[[], Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line says what is wrong, torch logs nothing, and no mode is left."""
    assert refused(factory).startswith(said)
    assert ("", "") == capfd.readouterr()
    assert type(torch.ones(1)) is torch.Tensor


def test_an_operator_without_a_formula_is_noted() -> None:
    """Its FLOP may be missing, which the notes say."""
    [note] = counted(lambda: lambda: torch.linalg.cholesky_ex(torch.eye(3))).notes
    assert note.startswith("the FLOP of aten.linalg_cholesky_ex are not known")


def test_a_few_operators_without_a_formula_are_named() -> None:
    """Three of them, in the order of their names, and the number of the others."""

    def several() -> None:
        eye = torch.eye(3)
        torch.linalg.cholesky_ex(eye)
        torch.linalg.inv_ex(eye)
        torch.linalg.lu_factor_ex(eye)
        torch.linalg.qr(eye)

    [note] = counted(lambda: several).notes
    assert re.fullmatch(
        r"the FLOP of (aten\.\w+, ){2}aten\.\w+ and 1 more are not known and not counted", note
    )
    operators = re.findall(r"aten\.\w+", note)
    assert operators == sorted(operators)


class UnsupportedOperatorException(Exception):
    """What torch raises for an operator that has no fake version."""

    func = "aten.other.default"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            UnsupportedOperatorException(),
            "aten.other cannot run on fake tensors: count a function that does not call it",
        ),
        (
            RuntimeError("\nPyTorch is not linked with support for mps devices\n"),
            "RuntimeError: PyTorch is not linked with support for mps devices: make the model and "
            "its inputs on the CPU",
        ),
        (
            RuntimeError("_apply(): Couldn't swap Linear.weight"),
            "a model of fake tensors cannot be converted (.to(), .half(), .cuda()): make it on the "
            "CPU, and in its dtype with --dtype",
        ),
        (ZeroDivisionError(), "ZeroDivisionError: no message"),
    ],
)
def test_what_a_function_raises_is_explained(error: Exception, said: str) -> None:
    """In one line, with what to do where that is known."""

    def fails() -> None:
        raise error

    assert refused(lambda: fails) == said
