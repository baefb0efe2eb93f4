"""Which module an operator belongs to, forward and backward."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch.utils.checkpoint import checkpoint  # noqa: E402

from pytest_greenops.work.module_paths import (  # noqa: E402
    PatchedModuleCall,
    is_compiled,
    unused,
)
from tests.unit.work.one_pass import counted  # noqa: E402

nn = torch.nn
DATA = torch.ones(3, 4)
#: Operations of one product of the data with a weight of a linear layer.
PRODUCT = 2 * 3 * 4 * 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def products(work: Callable[[], Any]) -> dict[str, int]:
    """Return the number of products of each module that has some."""
    modules = counted(work).modules
    return {path: amount.flop // PRODUCT for path, amount in modules.items() if amount.flop}


class Block(nn.Module):
    """Two layers, one of them in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.others = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, data: Any) -> Any:
        """Call both, and compute something by itself."""
        return self.others[0](self.first(data)) @ torch.ones(4, 4)


def test_paths_of_modules() -> None:
    """A module is named by its path in the model, and the model by its class."""
    block = Block()
    expected = {"first": 1, "others.0": 1, "Block": 1}
    with torch.no_grad():
        assert expected == products(lambda: block(DATA))
        assert {**expected, "": 1} == products(lambda: block(DATA) @ torch.ones(4, 4))


def test_the_backward_pass_belongs_to_the_modules() -> None:
    """Gradients count for the module that made them necessary."""
    block = Block()
    expected = {"first": 2, "others.0": 3, "Block": 2}
    assert expected == products(lambda: block(DATA).sum().backward())


def test_the_backward_pass_in_a_later_window() -> None:
    """It need not be in the window of the forward pass."""
    from pytest_greenops.work.counting_trip import CountingTrip

    trip, block = CountingTrip(torch, lambda: None), Block()
    with trip.window("forward"):
        loss = block(DATA).sum()
    with trip.window("backward"):
        loss.backward()
    modules = trip.tallies["backward"].modules
    assert {"first": 1, "others.0": 2, "Block": 1} == {
        path: amount.flop // PRODUCT for path, amount in modules.items() if amount.flop
    }


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant: bool) -> None:
    """What the backward pass computes again counts for its module."""
    block, data = Block(), DATA.clone().requires_grad_()

    def work() -> None:
        loss = checkpoint(block, data, use_reentrant=reentrant).sum()
        loss.backward()

    found = products(work)
    found.pop("Block")
    assert {"first": 4, "others.0": 4} == found


def test_a_module_called_in_a_hook() -> None:
    """A module that a backward hook calls counts for itself."""
    block, other = Block(), nn.Linear(4, 4)

    def work() -> None:
        out = block(DATA)
        with torch.no_grad():
            other(DATA)
        out.register_hook(lambda gradient: other(gradient.detach()).detach())
        out.sum().backward()

    assert {"first": 2, "others.0": 3, "Block": 2, "Linear": 2} == products(work)


def test_a_backward_pass_inside_a_module() -> None:
    """A module whose forward pass computes gradients does not count those of the others."""

    class Penalty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()

        def forward(self, data: Any) -> Any:
            return torch.autograd.grad(self.block(data).sum(), data)[0]

    model, data = Penalty(), DATA.clone().requires_grad_()
    assert {"block.first": 2, "block.others.0": 2, "block": 2} == products(lambda: model(data))


def test_shared_and_hidden_modules() -> None:
    """A shared module has one path; one that its model does not know has its parent's and class."""
    shared, hidden = nn.Linear(4, 4), [nn.Linear(4, 4)]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = shared, shared

        def forward(self, data: Any) -> Any:
            data = nn.Linear(4, 4)(self.two(self.one(data)))
            return hidden[0](data)

    model = Model()
    with torch.no_grad():
        assert {"one": 2, "Model.Linear": 2} == products(lambda: model(data=DATA))


def test_several_models() -> None:
    """Modules of the second model begin with its class; a model that is made anew has one name."""
    one, two = Block(), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():

        def work() -> None:
            one(DATA), two(DATA)
            for _ in range(2):
                nn.Linear(4, 4)(DATA)

        assert {
            **{"first": 1, "others.0": 1, "Block": 1},
            **{"Sequential.0": 1, "Sequential.1": 1, "Linear": 2},
        } == products(work)


def test_a_compiled_model_has_the_names_of_its_model() -> None:
    """So the table says the same whether the model is compiled or not."""
    block = Block()
    compiled = torch.compile(block, backend="eager")
    with torch.no_grad():
        compiled(DATA)
        assert {"first": 1, "others.0": 1, "Block": 1} == products(lambda: compiled(DATA))


class OptimizedModule:
    """A class of the name that torch gives to what `torch.compile(model)` returns."""


@pytest.mark.parametrize(
    ("module", "compiled"),
    [
        (OptimizedModule(), True),
        (SimpleNamespace(_compiled_call_impl=len), True),
        (SimpleNamespace(_compiled_call_impl=None), False),
        (SimpleNamespace(), False),
    ],
    ids=["model", "in place", "not in place", "plain"],
)
def test_a_compiled_module_is_known_by_its_class_or_its_call(module: Any, compiled: bool) -> None:
    """`model.compile()` keeps the class."""
    assert is_compiled(module) is compiled


def test_a_name_that_is_taken_gets_a_number() -> None:
    """The first that is free, from 2."""
    taken = ["Net", "Net-2", "Net-4"]
    assert [unused("Net", taken[:n]) for n in range(4)] == ["Net", "Net-2", "Net-3", "Net-3"]


@pytest.mark.parametrize("eager", [False, True])
def test_calls_of_modules_are_replaced_while_entered(eager: bool) -> None:
    """In the thread that made the replacement alone; what they return is what is returned."""
    called: list[str] = []

    def replacement(call: Callable[..., Any], module: Any, args: Any, kwargs: Any) -> Any:
        called.append(type(module).__name__)
        return call(module, args, kwargs)

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    expected = model(DATA)
    with PatchedModuleCall(torch, replacement, eager):
        assert torch.equal(model(DATA), expected)
        elsewhere = threading.Thread(target=model, args=(DATA,))
        elsewhere.start()
        elsewhere.join()
    model(DATA)
    assert called == ["Sequential", "Linear", "ReLU"]
