"""Networks profiled, layer by layer: what each spends is known."""

from __future__ import annotations

import pytest

from benchmarks.estimator.layer_shapes import shapes_of
from benchmarks.estimator.profiling import profile_network
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

torch = pytest.importorskip("torch")
nn = torch.nn
ELEMENT_J = 1e-3


class Spending(nn.Linear):
    """A layer that uses a millijoule for each element that it gives back."""

    def __init__(self, sensor: FakeSensor, width: int, out: int) -> None:
        super().__init__(width, out)
        self.sensor = sensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of its own network, whose listing on `meta` spends nothing."""
        if x.device.type != "meta":
            self.sensor.spend(ELEMENT_J * len(x) * self.out_features)
        return super().forward(x)


def test_layers_and_the_whole_are_measured() -> None:
    """Joules of each layer and of their network; those of one shape are measured once."""
    sensor = FakeSensor()
    model = nn.Sequential(*(Spending(sensor, *sizes) for sizes in [(4, 8), (8, 8), (8, 8)]))
    x = torch.zeros(2, 4)
    layers, whole = profile_network("net", model, x, instruments=Instruments([sensor]))
    small, square, _ = shapes = shapes_of(model, x)
    assert [(p.shape, p.network, p.calls, p.estimated) for p in layers] == [
        (small, "net", 1, False),
        (square, "net", 2, False),
    ]
    assert [p.joules for p in layers] == pytest.approx([0.016, 0.016])
    assert (whole.name, whole.shapes) == ("net", shapes)
    assert whole.joules == pytest.approx(0.048)


def test_a_single_layer_is_a_network() -> None:
    """A model that has no parts is its own only layer."""
    sensor = FakeSensor()
    layers, whole = profile_network(
        "net", Spending(sensor, 3, 5), torch.zeros(1, 3), instruments=Instruments([sensor])
    )
    assert [p.joules for p in layers] == pytest.approx([whole.joules]) == [pytest.approx(0.005)]


def test_estimated_joules_are_marked() -> None:
    """Profiles say that no sensor stands behind them."""
    sensor = FakeSensor(source="estimated")
    model = Spending(sensor, 3, 5)
    (layer,), _ = profile_network(
        "net", model, torch.zeros(1, 3), instruments=Instruments([sensor])
    )
    assert layer.estimated


def test_work_that_does_not_call_the_network_once_is_refused() -> None:
    """Its joules would be of other work than the layers listed."""
    sensor = FakeSensor()
    model, x = Spending(sensor, 3, 3), torch.zeros(1, 3)
    with pytest.raises(GreenopsError, match="the work has to call the network once, as a whole"):
        profile_network(
            "net", model, x, work=lambda: model(model(x)), instruments=Instruments([sensor])
        )
