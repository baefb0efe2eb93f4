"""Profiles of networks: shapes that are counted by hand, and joules that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

torch = pytest.importorskip("torch")

from benchmarks.estimator.estimate import LayerProfile, LayerShape, NetworkProfile  # noqa: E402
from benchmarks.estimator.profiling import layer_calls, profile_network, shapes_of  # noqa: E402

nn = torch.nn
ELEMENT_J = 1e-3


class Twice(nn.Module):
    """One convolution that is called twice, and a sum outside of any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x + f(f(x))`."""
        return x + self.conv(self.conv(x))


class Spending(nn.Linear):
    """A layer that uses a millijoule for each output element."""

    def __init__(self, sensor: FakeSensor, width: int, out: int) -> None:
        super().__init__(width, out)
        self.sensor = sensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spend, except on `meta`."""
        if x.device.type != "meta":
            self.sensor.spend(ELEMENT_J * len(x) * self.out_features)
        return super().forward(x)


@pytest.fixture
def sensor() -> FakeSensor:
    """A sensor on which layers spend."""
    return FakeSensor()


def profile(
    sensor: FakeSensor, model: Any, x: Any, work: Callable[[], object] | None = None
) -> tuple[list[LayerProfile], NetworkProfile]:
    """Profile a model with one sensor."""
    return profile_network("net", model, x, work=work, instruments=Instruments([sensor]))


def test_layers_of_a_classifier_are_those_counted_by_hand() -> None:
    """MACs, parameters and elements for a batch of two, without layers that compute nothing."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    ).eval()
    assert shapes_of(model, torch.zeros(2, 3, 16, 16)) == (
        LayerShape("Conv2d", 2 * 8 * 8 * 8 * 3 * 9, 8 * 3 * 9, 2 * 3 * 256, 2 * 8 * 64),
        LayerShape("BatchNorm2d", 0, 16, 1024, 1024),
        LayerShape("ReLU", 0, 0, 1024, 1024),
        LayerShape("MaxPool2d", 0, 0, 1024, 2 * 8 * 16),
        LayerShape("Linear", 2 * 128 * 10, 128 * 10 + 10, 2 * 128, 20),
    )


def test_groups_need_fewer_macs() -> None:
    """A depthwise convolution multiplies each channel by itself alone."""
    (shape,) = shapes_of(nn.Conv2d(6, 6, 3, groups=6, bias=False), torch.zeros(1, 6, 5, 5))
    assert (shape.macs, shape.parameters) == (6 * 9 * 9, 6 * 9)


def test_axes_are_recovered_from_sizes() -> None:
    """Positions, channels and window of a convolution; rows and features of a linear layer."""
    conv = nn.Conv2d(3, 8, 5, padding=2, bias=False)
    (shape,) = shapes_of(conv, torch.zeros(2, 3, 16, 16))
    assert [math.exp(axis) for axis in shape.axes] == pytest.approx([2 * 256, 8, 3, 25])
    (shape,) = shapes_of(nn.Linear(30, 7, bias=False), torch.zeros(4, 30))
    assert [math.exp(axis) for axis in shape.axes] == pytest.approx([4, 7, 30, 1])


def test_products_in_recurrent_and_attention_layers_are_counted() -> None:
    """No fused kernel hides a matrix product."""
    (lstm,) = shapes_of(nn.LSTM(8, 16), torch.zeros(5, 2, 8))
    assert (lstm.kind, lstm.macs) == ("LSTM", 5 * 2 * 4 * 16 * (8 + 16))
    x = torch.zeros(2, 7, 8)
    (attention,) = shapes_of(nn.MultiheadAttention(8, 2, batch_first=True).eval(), x, x, x)
    assert attention.kind == "MultiheadAttention"
    assert attention.macs == 2 * (4 * 7 * 8 * 8 + 2 * 7 * 7 * 8)


def test_repeated_calls_and_operations_outside_of_layers_are_listed() -> None:
    """A layer is listed once per call, and the sum of a residual by its operation, unnamed."""
    calls = layer_calls(Twice(), torch.zeros(1, 4, 6, 6))
    assert [(call.name, call.shape.kind) for call in calls] == [
        ("conv", "Conv2d"),
        ("conv", "Conv2d"),
        (None, "add"),
    ]
    assert calls[2].shape == LayerShape("add", 0, 0, 2 * 144, 144)


def test_products_outside_of_layers_have_their_macs() -> None:
    """A matrix product that no module contains is listed."""

    class Product(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x @ x.T)

    shapes = shapes_of(Product(nn.ReLU()), torch.zeros(3, 5))
    assert shapes == (LayerShape("mm", 3 * 5 * 3, 0, 30, 9), LayerShape("ReLU", 0, 0, 9, 9))


def test_listing_leaves_the_network_as_it_was() -> None:
    """Listing changes no value, leaves no hook, and accepts inputs without values."""
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    listed = shapes_of(model, torch.empty(8, 4, device="meta"))
    assert [shape.kind for shape in listed] == ["Linear", "BatchNorm1d"]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for value in model.state_dict().values())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_a_network_that_needs_values_is_an_error() -> None:
    """The error says how to list its layers instead, and no hook is left."""
    choosy = nn.Sequential(nn.ReLU())
    choosy.forward = lambda x: x if x.sum() > 0 else -x
    with pytest.raises(
        GreenopsError, match=r"^Sequential cannot be run without values .*by hand as"
    ):
        shapes_of(choosy, torch.ones(3))
    assert not choosy[0]._forward_hooks


def test_layers_and_the_whole_are_measured(sensor: FakeSensor) -> None:
    """Each shape is measured once, and so is the network."""
    model = nn.Sequential(*(Spending(sensor, *sizes) for sizes in [(4, 8), (8, 8), (8, 8)]))
    x = torch.zeros(2, 4)
    layers, whole = profile(sensor, model, x)
    small, square, _ = shapes = shapes_of(model, x)
    assert [(p.shape, p.network, p.calls, p.estimated) for p in layers] == [
        (small, "net", 1, False),
        (square, "net", 2, False),
    ]
    assert [p.joules for p in layers] == pytest.approx([0.016, 0.016])
    assert (whole.name, whole.shapes) == ("net", shapes)
    assert whole.joules == pytest.approx(0.048)


def test_a_single_layer_is_a_network(sensor: FakeSensor) -> None:
    """A model without children is its own only layer."""
    layers, whole = profile(sensor, Spending(sensor, 3, 5), torch.zeros(1, 3))
    assert [p.joules for p in layers] == pytest.approx([whole.joules]) == [pytest.approx(0.005)]


def test_estimated_joules_are_marked() -> None:
    """Profiles record that no sensor measured them."""
    sensor = FakeSensor(source="estimated")
    (layer,), _ = profile(sensor, Spending(sensor, 3, 5), torch.zeros(1, 3))
    assert layer.estimated


def test_work_that_calls_the_network_twice_is_an_error(sensor: FakeSensor) -> None:
    """Its joules would belong to other work than the listed layers."""
    model, x = Spending(sensor, 3, 3), torch.zeros(1, 3)
    with pytest.raises(GreenopsError, match="the work must call the whole network once"):
        profile(sensor, model, x, work=lambda: model(model(x)))
