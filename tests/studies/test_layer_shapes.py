"""The layers of a torch network, listed without computing anything."""

from __future__ import annotations

import math

import pytest

from benchmarks.estimator.estimate import LayerShape
from benchmarks.estimator.layer_shapes import layer_calls, shapes_of
from pytest_greenops.model.errors import GreenopsError

torch = pytest.importorskip("torch")
nn = torch.nn


class Twice(nn.Module):
    """One convolution, called twice, and a sum outside of any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x + f(f(x))`."""
        return x + self.conv(self.conv(x))


def test_layers_of_a_classifier_are_those_counted_by_hand() -> None:
    """MACs, parameters and elements of each, for a batch of two; what does nothing is left out."""
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


def test_axes_are_those_of_the_layer() -> None:
    """Places, channels and window of a convolution; rows and features of a linear layer."""
    conv = nn.Conv2d(3, 8, 5, padding=2, bias=False)
    (shape,) = shapes_of(conv, torch.zeros(2, 3, 16, 16))
    assert [math.exp(axis) for axis in shape.axes] == pytest.approx([2 * 256, 8, 3, 25])
    (shape,) = shapes_of(nn.Linear(30, 7, bias=False), torch.zeros(4, 30))
    assert [math.exp(axis) for axis in shape.axes] == pytest.approx([4, 7, 30, 1])


def test_recurrent_and_attention_layers_show_their_products() -> None:
    """No fused kernel hides a product of matrices."""
    (lstm,) = shapes_of(nn.LSTM(8, 16), torch.zeros(5, 2, 8))
    assert (lstm.kind, lstm.macs) == ("LSTM", 5 * 2 * 4 * 16 * (8 + 16))
    x = torch.zeros(2, 7, 8)
    (attention,) = shapes_of(nn.MultiheadAttention(8, 2, batch_first=True).eval(), x, x, x)
    assert attention.kind == "MultiheadAttention"
    assert attention.macs == 2 * (4 * 7 * 8 * 8 + 2 * 7 * 7 * 8)


def test_layer_called_twice_is_listed_twice_and_what_is_outside_too() -> None:
    """A residual's sum stands in no layer: it is listed by its operation, with no module's name."""
    calls = layer_calls(Twice(), torch.zeros(1, 4, 6, 6))
    assert [(call.name, call.shape.kind) for call in calls] == [
        ("conv", "Conv2d"),
        ("conv", "Conv2d"),
        (None, "add"),
    ]
    assert calls[2].shape == LayerShape("add", 0, 0, 2 * 144, 144)


def test_products_outside_of_layers_have_their_macs() -> None:
    """A product of matrices that no module holds does not get lost."""

    class Product(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x @ x.T)

    shapes = shapes_of(Product(nn.ReLU()), torch.zeros(3, 5))
    assert shapes == (LayerShape("mm", 3 * 5 * 3, 0, 30, 9), LayerShape("ReLU", 0, 0, 9, 9))


def test_network_is_left_as_it_was() -> None:
    """Listing changes no value and leaves no hook, and runs on inputs without values too."""
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    listed = shapes_of(model, torch.empty(8, 4, device="meta"))
    assert [shape.kind for shape in listed] == ["Linear", "BatchNorm1d"]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for value in model.state_dict().values())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_network_that_needs_values_is_refused() -> None:
    """Which way it goes cannot be known: the error says so in one line, with the mend."""

    class Choosy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(GreenopsError, match=r"^Choosy cannot be run without values .*by hand as"):
        shapes_of(Choosy(), torch.ones(3))
