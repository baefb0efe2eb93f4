"""Where the joules go by layer: against operations whose joules are known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.insight.layers import replay  # noqa: E402
from pytest_greenops.insight.layers.capture import Capture  # noqa: E402
from pytest_greenops.insight.layers.explain_layers import Judged, explain  # noqa: E402
from pytest_greenops.insight.layers.sites import KEPT_CALLS  # noqa: E402
from pytest_greenops.model.explanation import Explanation, LayerJoules  # noqa: E402
from tests.layers.operations import FLOP_J, Operations  # noqa: E402

nn = torch.nn


@pytest.fixture(autouse=True)
def _alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights in every run; what takes no counted time is not replayed thousandfold."""
    torch.manual_seed(0)
    monkeypatch.setattr(replay, "MOST_REPLAYS", 20)


@pytest.fixture
def machine() -> Iterator[Operations]:
    """A machine on which operations have known joules."""
    with Operations() as operations:
        yield operations


def explained(
    machine: Operations,
    work: Callable[[], Any],
    accepted: tuple[LayerJoules, ...] = (),
    units: dict[str, float] | None = None,
    after: Callable[[], None] = lambda: None,
) -> Explanation:
    """What is said of a piece of work; `after` happens before it is replayed."""
    capture = Capture(lambda: None)
    before = machine.sensor.read()
    with capture.window("call"):
        work()
    spent_j = (machine.sensor.read().energy_uj[0] - before.energy_uj[0]) / 1e6
    capture.units = units or {}
    after()
    return explain(
        capture,
        machine.instruments,
        lambda: None,
        {"call": Judged(spent_j, ["cpu:0"], next(iter(capture.units), "call"), accepted)},
        max_time_s=600.0,
        progress=lambda done, most: None,
    )["call"]


def kept(told: Explanation) -> LayerJoules:
    """What a baseline keeps."""
    assert told.kept is not None
    return told.kept


def llama(layers: int = 4) -> Any:
    """A small Llama with random weights."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def resnet() -> Any:
    """A ResNet-18 with few channels."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2],
        embedding_size=16,
        hidden_sizes=[16, 16, 32, 32],
        layer_type="basic",
    )
    return transformers.AutoModelForImageClassification.from_config(config)


class Twice(nn.Module):
    """A module that does its work twice."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The second result."""
        self.module(*args, **kwargs)
        return self.module(*args, **kwargs)


def test_each_layer_has_the_joules_of_its_operations(machine: Operations) -> None:
    """A linear layer of a sequence uses what its matrix product costs, under its own name."""
    model = nn.Sequential(nn.Linear(100, 200, bias=False), nn.Linear(200, 400, bias=False))
    batch = torch.randn(8, 100)
    with torch.inference_mode():
        told = explained(machine, lambda: model(batch))
    joules = {layer.name: layer.joules for layer in told.layers}
    flops = {"1": 2 * 8 * 200 * 400, "0": 2 * 8 * 100 * 200}
    assert list(joules) == ["1", "0"]
    for name, count in flops.items():
        assert joules[name] == pytest.approx(FLOP_J * count, rel=0.2)
    assert [layer.kind for layer in told.layers] == ["Linear", "Linear"]


@pytest.mark.parametrize("grad", [False, True], ids=["inference", "training"])
def test_the_parts_of_a_resnet_add_up(machine: Operations, grad: bool) -> None:
    """Its convolutions with their normalisations make the whole within 10 %, backward too."""
    model = resnet().train(grad)
    images = torch.randn(4, 3, 32, 32)
    labels = torch.randint(2, (4,))

    def work() -> None:
        loss = model(images, labels=labels).loss
        if grad:
            loss.backward()

    with torch.set_grad_enabled(grad):
        told = explained(machine, work)
    assert told.why is None
    assert told.additivity == pytest.approx(1.0, abs=0.1)
    assert told.adds_up
    assert told.backward is grad
    assert {"ResNetConvLayer", "Linear"} <= {layer.kind for layer in told.layers}


def test_the_parts_of_a_llama_add_up(machine: Operations) -> None:
    """Attention, feed-forward network and norms of each layer make the whole within 10 %."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    with torch.inference_mode():
        told = explained(machine, lambda: model(prompts))
    assert told.adds_up
    assert told.additivity == pytest.approx(1.0, abs=0.1)
    assert "model.layers.2.mlp" in {layer.name for layer in told.layers}


def test_parts_that_miss_the_work_between_them_are_warned_of(machine: Operations) -> None:
    """A model that does most of its work outside of its modules does not add up, and says so."""

    class Outside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(10, 10)
            self.weight = nn.Parameter(torch.randn(10, 2000))

        def forward(self, x: Any) -> Any:
            return self.inside(x) @ self.weight

    model = Outside()
    with torch.inference_mode():
        told = explained(machine, lambda: model(torch.randn(8, 10)))
    assert told.additivity < 0.2
    assert not told.adds_up


def test_a_doubled_layer_is_named_among_its_like(machine: Operations) -> None:
    """A layer that runs twice stands out without any baseline."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    model.model.layers[2].mlp = Twice(model.model.layers[2].mlp)
    with torch.inference_mode():
        told = explained(machine, lambda: model(prompts))
    suspect = told.suspect
    assert suspect is not None
    assert suspect.name == "model.layers.2.mlp.module"
    assert suspect.calls == 2
    assert suspect.of_kind == pytest.approx(2.0, rel=0.05)


def test_a_wider_layer_is_named_against_the_baseline(machine: Operations) -> None:
    """A layer that does twice the work is the one that grew over what was accepted."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    with torch.inference_mode():
        before = explained(machine, lambda: model(prompts))
        wide = type(model.config)(**{**model.config.to_dict(), "intermediate_size": 256})
        model.model.layers[1].mlp = type(model.model.layers[1].mlp)(wide)
        after = explained(machine, lambda: model(prompts), (kept(before),))
    suspect = after.suspect
    assert suspect is not None
    assert suspect.name == "model.layers.1.mlp"
    assert suspect.change == pytest.approx(1.0, abs=0.1)
    assert before.suspect is None


def test_nothing_is_suspected_of_a_model_that_stayed(machine: Operations) -> None:
    """Unlike layers of one class are not held against each other, nor is an unchanged one named."""
    model, images = resnet().eval(), torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        first = explained(machine, lambda: model(images))
        again = explained(machine, lambda: model(images), (kept(first),))
    assert first.suspect is None
    assert again.suspect is None
    before = {layer.name: layer.joules for layer in first.layers}
    assert {layer.name: layer.baseline_j for layer in again.layers} == pytest.approx(before)


def test_a_generation_counts_every_call_of_a_layer(machine: Operations) -> None:
    """Of many calls some are replayed, with the cache as it was, and stand for all of them."""
    model, prompts = llama(2), torch.randint(64, (2, 8))
    told = explained(
        machine,
        lambda: model.generate(prompts, max_new_tokens=40, do_sample=False, eos_token_id=None),
    )
    calls = {layer.name: layer.calls for layer in told.layers}
    assert calls["model.layers.0.mlp"] == 40 > KEPT_CALLS
    assert told.adds_up


def test_a_replay_leaves_the_model_as_it_was(machine: Operations) -> None:
    """Running statistics, gradients and random numbers are those of the one captured call."""

    def train() -> tuple[Any, ...]:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        batch = torch.randn(8, 4)
        return model, lambda: model(batch).sum().backward()

    alone, work = train()
    work()
    expected_next = torch.rand(1)
    replayed, work = train()
    told = explained(machine, work)
    assert told.backward
    assert torch.equal(torch.rand(1), expected_next)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, replayed.state_dict()[name]), name
    for one, other in zip(alone.parameters(), replayed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_a_module_that_cannot_be_called_again_is_told(machine: Operations) -> None:
    """What its second call raises is the reason why nothing is said by layer."""

    class Once(nn.Module):
        called = False

        def forward(self, x: Any) -> Any:
            if self.called:
                raise RuntimeError("has no second batch")
            self.called = True
            return x + 1

    model = nn.Sequential(Once())
    told = explained(machine, lambda: model(torch.randn(2)))
    assert told.why == "Sequential cannot be called again by itself (has no second batch)"


def test_work_without_modules_is_told(machine: Operations) -> None:
    """Functions of torch belong to no layer."""
    told = explained(machine, lambda: torch.randn(4) + 1)
    assert told.why == "no torch module is called in it"


def test_layers_of_several_models_are_told_apart(machine: Operations) -> None:
    """Those of all but the first model that the work calls begin with the model's class."""
    one, other, third = (nn.Sequential(nn.Linear(64, 64)) for _ in range(3))
    loss = nn.MSELoss()
    batch = torch.randn(64, 64)
    told = explained(machine, lambda: loss(one(batch), other(third(batch))))
    assert told.why is None
    names = {layer.name for layer in told.layers}
    assert names == {"0", "Sequential-2.0", "Sequential-3.0", "MSELoss"}


def test_the_recorder_leaves_torch_as_it_was(machine: Operations) -> None:
    """Modules are called by torch's own method afterwards, though the work raises."""
    before = nn.Module.__call__
    capture = Capture(lambda: None)
    with pytest.raises(ValueError, match="lost"), capture.window("call"):
        raise ValueError("lost")
    assert nn.Module.__call__ is before


def test_a_deep_model_is_told_by_its_blocks(machine: Operations) -> None:
    """Where every attention and every network would be too many parts, the layers are the parts."""
    model, prompts = llama(20), torch.randint(64, (1, 4))
    with torch.inference_mode():
        told = explained(machine, lambda: model(prompts))
    assert {"model.layers.0", "model.layers.19", "lm_head"} <= {each.name for each in told.layers}
    assert len(told.layers) < 30


def test_a_module_that_writes_on_its_input_is_replayed(machine: Operations) -> None:
    """In training, where torch refuses to write on a leaf, it gets tensors of its own."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 64))
    batch = torch.randn(64, 64)
    told = explained(machine, lambda: model(batch).sum().backward())
    assert told.why is None
    assert {layer.name for layer in told.layers} == {"0", "1", "2"}


def test_a_module_that_its_model_does_not_know_has_a_name(machine: Operations) -> None:
    """Modules in a plain list are told one by one."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(64, 64) for _ in range(3)]

        def forward(self, x: Any) -> Any:
            for layer in self.hidden:
                x = layer(x)
            return x

    model, batch = Hidden(), torch.randn(64, 64)
    with torch.inference_mode():
        told = explained(machine, lambda: model(batch))
    names = {layer.name for layer in told.layers}
    assert names == {"Hidden.Linear", "Hidden.Linear-2", "Hidden.Linear-3"}
    assert told.adds_up


def test_a_container_that_refuses_to_be_copied_is_shared(machine: Operations) -> None:
    """The work that is captured never fails for what is kept of it."""

    class Stubborn(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: object, value: object) -> None:
            raise TypeError("no")

    class Takes(nn.Module):
        def forward(self, given: Any) -> Any:
            return given["x"] * 2

    given = Stubborn(x=torch.randn(64, 64))
    with torch.inference_mode():
        told = explained(machine, lambda: Takes()(given))
    assert [layer.name for layer in told.layers] == ["Takes"]


def test_a_cache_of_fixed_size_stays_as_it_was(machine: Operations) -> None:
    """Counters that a cache adds to in place do not run over in replays."""
    model, prompts = llama(2), torch.randint(64, (2, 8))
    told = explained(
        machine,
        lambda: model.generate(
            prompts,
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=None,
            cache_implementation="static",
        ),
    )
    assert told.why is None


def test_an_old_torch_is_told(machine: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that does not tell the modes of a call has no layers, and says which does."""
    monkeypatch.delattr(torch, "get_autocast_dtype")
    told = explained(machine, lambda: nn.Linear(4, 4)(torch.randn(2, 4)))
    assert told.why == f"torch {torch.__version__} is too old; it takes 2.4 or newer"


def test_a_few_large_calls_weigh_what_they_do(machine: Operations) -> None:
    """A prefill among many small calls is one of a kind of its own; so are calls that alternate."""
    layer = nn.Linear(256, 256, bias=False)
    large, small = torch.randn(100, 256), torch.randn(1, 256)

    def generation() -> None:
        layer(large)
        for _ in range(99):
            layer(small)

    def in_turns() -> None:
        for _ in range(8):
            layer(large)
            layer(small)

    with torch.inference_mode():
        for work, calls in ((generation, 100), (in_turns, 16)):
            told = explained(machine, work)
            [only] = told.layers
            assert only.calls == calls
            assert only.joules == pytest.approx(told.call_j, rel=0.02)


def test_calls_that_cannot_be_told_apart_are_chosen_by_chance(machine: Operations) -> None:
    """Of calls of one shape that cost more and less in turns, both kinds are kept."""

    class Periodic(nn.Module):
        def forward(self, x: Any, repeats: int) -> Any:
            for _ in range(repeats):
                x = x * 2
            return x

    model, x = Periodic(), torch.randn(100, 100)

    def work() -> None:
        for number in range(400):
            model(x, 1 if number % 2 else 3)

    with torch.inference_mode():
        told = explained(machine, work)
    assert told.of_call == pytest.approx(1.0, abs=0.3)


def test_a_model_is_as_it_was_after_its_replays(machine: Operations) -> None:
    """Lists that grow, attributes and buffers that are set anew, and inputs that are written on."""

    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cache: list[Any] = []
            self.register_buffer("count", torch.zeros(1))
            self.register_buffer("wide", torch.zeros(1).expand(4))
            self.last: Any = None

        def forward(self, x: Any) -> Any:
            self.cache.append(x)
            self.count = self.count + 1
            self.last = x
            x += 1
            return x * len(self.cache)

    model, batch = Keeps(), torch.zeros(100, 100)
    with torch.no_grad():
        told = explained(machine, lambda: model(batch))
    assert told.why is None
    assert told.of_call == pytest.approx(1.0, abs=0.1)
    assert len(model.cache) == 1
    assert model.cache[0] is model.last
    assert model.count.item() == 1.0
    assert batch.max().item() == 1.0


def test_a_model_that_the_test_changed_later_is_replayed_as_it_was(machine: Operations) -> None:
    """In training mode by then, it is replayed as it was; with other weights, it is not."""
    model, batch = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5)), torch.randn(64, 64)
    model.eval()
    with torch.inference_mode():
        told = explained(machine, lambda: model(batch), after=model.train)
    assert told.of_call == pytest.approx(1.0, abs=0.1)
    assert model.training
    with torch.inference_mode():
        told = explained(machine, lambda: model(batch), after=model.double)
    assert told.why == (
        "the test gave its model other weights after it was measured; give them to a copy of it"
    )


def test_layers_are_held_against_as_much_work(machine: Operations) -> None:
    """Twice the samples are no growth; half of them do not hide it."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))

    def run(samples: int, accepted: tuple[LayerJoules, ...] = ()) -> Explanation:
        batch, units = torch.randn(samples, 64), {"sample": float(samples)}
        with torch.inference_mode():
            return explained(machine, lambda: model(batch), accepted, units)

    before = run(100)
    assert run(200, (kept(before),)).suspect is None
    model[1] = Twice(model[1])
    after = run(50, (kept(before),))
    changes = {layer.name: layer.change for layer in after.layers}
    assert changes["0"] == pytest.approx(0.0, abs=0.1)


def test_nothing_stays_on_the_tensors_of_the_work(machine: Operations) -> None:
    """What is returned can be saved without a warning, and a parameter has no hook left."""
    weight = nn.Parameter(torch.randn(64, 64))

    class Returns(nn.Module):
        def forward(self, x: Any) -> Any:
            return x @ weight, weight

    out: list[Any] = []
    explained(machine, lambda: out.extend(Returns()(torch.randn(8, 64))))
    assert not weight._backward_hooks
    assert not out[0]._backward_hooks


def test_calls_in_other_threads_are_left_alone(machine: Operations) -> None:
    """They belong to nobody's stack: what they call is in no layer."""
    model, other = nn.Linear(64, 64), nn.Linear(64, 64)
    batch = torch.randn(64, 64)

    def work() -> None:
        thread = threading.Thread(target=lambda: other(batch))
        thread.start()
        thread.join()
        model(batch)

    told = explained(machine, work)
    assert [layer.name for layer in told.layers] == ["Linear"]


def test_replays_end_when_their_time_is_up(machine: Operations) -> None:
    """Where not even a round can be made, the reason and the option that mends it are told."""
    capture = Capture(lambda: None)
    with capture.window("call"):
        nn.Linear(4, 4)(torch.randn(2, 4))
    told = explain(
        capture,
        machine.instruments,
        lambda: None,
        {"call": Judged(1.0, ["cpu:0"])},
        max_time_s=-1.0,
        progress=lambda done, most: None,
    )["call"]
    assert told.why == ("its replays take longer than they may; give more with --energy-max-time")
