"""Joules by layer, compared with operations whose joules are known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.insight.layers.capture import Capture  # noqa: E402
from pytest_greenops.insight.layers.explain_layers import Judged, explain  # noqa: E402
from pytest_greenops.insight.layers.module_tree import KEPT_CALLS  # noqa: E402
from pytest_greenops.insight.layers.replay import ReplayPlan  # noqa: E402
from pytest_greenops.model.explanation import Explanation, LayerJoules  # noqa: E402
from tests.layers.operations import FLOP_J, Operations  # noqa: E402

nn = torch.nn


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


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
    max_time_s: float = 600.0,
) -> Explanation:
    """Return the explanation of some work; `after` runs between capture and replays."""
    capture = Capture(lambda: None)
    before = machine.sensor.read()
    with capture.window("call"):
        work()
    spent_j = (machine.sensor.read().energy_uj[0] - before.energy_uj[0]) / 1e6
    capture.units = units or {}
    after()
    judged = Judged(spent_j, ["cpu:0"], next(iter(capture.units), "call"), accepted)
    # Few replays: operations that take no simulated time would be replayed thousands of times.
    plan = ReplayPlan(machine.instruments, lambda: None, max_time_s, max_replays=20)
    return explain(capture, {"call": judged}, plan)["call"]


@torch.inference_mode()
def inferred(machine: Operations, work: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
    """Return the explanation of work in inference mode."""
    return explained(machine, work, *args, **kwargs)


def kept(explanation: Explanation) -> LayerJoules:
    """Return what a baseline keeps."""
    assert explanation.kept is not None
    return explanation.kept


def names(explanation: Explanation) -> set[str]:
    """Return the names of all layers."""
    return {layer.name for layer in explanation.layers}


def llama(layers: int = 4) -> Any:
    """Return a small Llama with random weights."""
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


def generation(new_tokens: int, **settings: Any) -> Callable[[], Any]:
    """Return greedy generation of this many tokens by a small Llama."""
    model, prompts = llama(2), torch.randint(64, (2, 8))
    settings |= {"max_new_tokens": new_tokens, "do_sample": False, "eos_token_id": None}
    return lambda: model.generate(prompts, **settings)


def resnet() -> Any:
    """Return a ResNet-18 with few channels."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], embedding_size=16, hidden_sizes=[16, 16, 32, 32], layer_type="basic"
    )
    return transformers.AutoModelForImageClassification.from_config(config)


class Calls(nn.Module):
    """A module whose forward pass is a given function."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = forward


class Twice(nn.Module):
    """A module that does its work twice."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the second result."""
        self.module(*args, **kwargs)
        return self.module(*args, **kwargs)


# --- parts and their sum -----------------------------------------------------------------------


def test_each_layer_has_the_joules_of_its_operations(machine: Operations) -> None:
    """A linear layer of a sequence uses what its matrix product costs, under its own name."""
    model = nn.Sequential(nn.Linear(100, 200, bias=False), nn.Linear(200, 400, bias=False))
    batch = torch.randn(8, 100)
    layers = inferred(machine, lambda: model(batch)).layers
    flops = {"1": 2 * 8 * 200 * 400, "0": 2 * 8 * 100 * 200}
    assert [(layer.name, layer.kind) for layer in layers] == [("1", "Linear"), ("0", "Linear")]
    for layer in layers:
        assert layer.joules == pytest.approx(FLOP_J * flops[layer.name], rel=0.2)


@pytest.mark.parametrize("grad", [False, True], ids=["inference", "training"])
def test_the_parts_of_a_resnet_add_up(machine: Operations, grad: bool) -> None:
    """Convolutions with their normalisations add up to the whole within 10 %, backward too."""
    model = resnet().train(grad)
    images = torch.randn(4, 3, 32, 32)
    labels = torch.randint(2, (4,))

    def work() -> None:
        loss = model(images, labels=labels).loss
        if grad:
            loss.backward()

    with torch.set_grad_enabled(grad):
        explanation = explained(machine, work)
    assert explanation.why is None
    assert explanation.additivity == pytest.approx(1.0, abs=0.1)
    assert explanation.adds_up
    assert explanation.backward is grad
    assert {"ResNetConvLayer", "Linear"} <= {layer.kind for layer in explanation.layers}


def test_the_parts_of_a_llama_add_up(machine: Operations) -> None:
    """Attention, feed-forward network and norms add up to the whole within 10 %."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    explanation = inferred(machine, lambda: model(prompts))
    assert explanation.adds_up
    assert explanation.additivity == pytest.approx(1.0, abs=0.1)
    assert "model.layers.2.mlp" in names(explanation)


def test_parts_that_miss_the_work_between_them_do_not_add_up(machine: Operations) -> None:
    """A model that does most of its work outside of its modules is reported as not additive."""
    model, weight = nn.Module(), torch.randn(10, 2000)
    model.inside = nn.Linear(10, 10)
    model.forward = lambda x: model.inside(x) @ weight
    explanation = inferred(machine, lambda: model(torch.randn(8, 10)))
    assert explanation.additivity < 0.2
    assert not explanation.adds_up


def test_a_deep_model_has_its_blocks_as_parts(machine: Operations) -> None:
    """Where attentions and networks would be too many parts, the blocks are the parts."""
    model, prompts = llama(20), torch.randint(64, (1, 4))
    explanation = inferred(machine, lambda: model(prompts))
    assert {"model.layers.0", "model.layers.19", "lm_head"} <= names(explanation)
    assert len(explanation.layers) < 30


# --- suspects ------------------------------------------------------------------------------------


def test_a_doubled_layer_stands_out_among_similar_layers(machine: Operations) -> None:
    """A layer that runs twice is named without any baseline."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    model.model.layers[2].mlp = Twice(model.model.layers[2].mlp)
    suspect = inferred(machine, lambda: model(prompts)).suspect
    assert suspect is not None
    assert (suspect.name, suspect.calls) == ("model.layers.2.mlp.module", 2)
    assert suspect.of_kind == pytest.approx(2.0, rel=0.05)


def test_a_wider_layer_is_named_against_the_baseline(machine: Operations) -> None:
    """A layer that does twice its accepted work is named."""
    model, prompts = llama(), torch.randint(64, (4, 32))
    before = inferred(machine, lambda: model(prompts))
    wide = type(model.config)(**{**model.config.to_dict(), "intermediate_size": 256})
    model.model.layers[1].mlp = type(model.model.layers[1].mlp)(wide)
    suspect = inferred(machine, lambda: model(prompts), (kept(before),)).suspect
    assert before.suspect is None
    assert suspect is not None
    assert suspect.name == "model.layers.1.mlp"
    assert suspect.change == pytest.approx(1.0, abs=0.1)


def test_an_unchanged_model_has_no_suspect(machine: Operations) -> None:
    """Layers of one class but of different shapes are not compared with each other."""
    model, images = resnet().eval(), torch.randn(4, 3, 32, 32)
    first = inferred(machine, lambda: model(images))
    again = inferred(machine, lambda: model(images), (kept(first),))
    assert first.suspect is None
    assert again.suspect is None
    before = {layer.name: layer.joules for layer in first.layers}
    assert {layer.name: layer.baseline_j for layer in again.layers} == pytest.approx(before)


def test_layers_are_compared_for_the_same_amount_of_work(machine: Operations) -> None:
    """Twice the samples are no growth, and half of them do not hide growth."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))

    def run(samples: int, accepted: tuple[LayerJoules, ...] = ()) -> Explanation:
        batch, units = torch.randn(samples, 64), {"sample": float(samples)}
        found: Explanation = inferred(machine, lambda: model(batch), accepted, units)
        return found

    before = run(100)
    assert run(200, (kept(before),)).suspect is None
    model[1] = Twice(model[1])
    changes = {layer.name: layer.change for layer in run(50, (kept(before),)).layers}
    assert changes["0"] == pytest.approx(0.0, abs=0.1)


# --- many calls ----------------------------------------------------------------------------------


def test_a_generation_counts_every_call_of_a_layer(machine: Operations) -> None:
    """Some of many calls are replayed, with the cache as it was, and represent all."""
    explanation = explained(machine, generation(40))
    calls = {layer.name: layer.calls for layer in explanation.layers}
    assert calls["model.layers.0.mlp"] == 40 > KEPT_CALLS
    assert explanation.adds_up


def test_a_cache_of_fixed_size_does_not_overflow(machine: Operations) -> None:
    """Counters that a cache increments in place are restored for each replay."""
    assert explained(machine, generation(12, cache_implementation="static")).why is None


@pytest.mark.parametrize("larges", [1, 8], ids=["one prefill", "in turns"])
def test_large_and_small_calls_are_weighed_apart(machine: Operations, larges: int) -> None:
    """One large call among 99 small ones, or large and small calls in turns, have their joules."""
    layer = nn.Linear(256, 256, bias=False)
    large, small = torch.randn(100, 256), torch.randn(1, 256)
    smalls = 99 if larges == 1 else 1

    def work() -> None:
        for _ in range(larges):
            layer(large)
            for _ in range(smalls):
                layer(small)

    explanation = inferred(machine, work)
    [only] = explanation.layers
    assert only.calls == larges * (1 + smalls)
    assert only.joules == pytest.approx(explanation.call_j, rel=0.02)


def test_indistinguishable_calls_are_sampled_at_random(machine: Operations) -> None:
    """Calls of one shape that use more and less in turns are both among the kept ones."""

    def scale(x: Any, repeats: int) -> Any:
        for _ in range(repeats):
            x = x * 2
        return x

    model, x = Calls(scale), torch.randn(100, 100)

    def work() -> None:
        for number in range(400):
            model(x, 1 if number % 2 else 3)

    assert inferred(machine, work).of_call == pytest.approx(1.0, abs=0.3)


# --- names ---------------------------------------------------------------------------------------


def test_layers_of_several_models_have_different_names(machine: Operations) -> None:
    """The layers of all models but the first one begin with the class of their model."""
    one, other, third = (nn.Sequential(nn.Linear(64, 64)) for _ in range(3))
    loss, batch = nn.MSELoss(), torch.randn(64, 64)
    explanation = explained(machine, lambda: loss(one(batch), other(third(batch))))
    assert explanation.why is None
    assert names(explanation) == {"0", "Sequential-2.0", "Sequential-3.0", "MSELoss"}


def test_modules_in_a_plain_list_have_names(machine: Operations) -> None:
    """Modules that their model does not list are named by its class and theirs, and numbered."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(64, 64) for _ in range(3)]

        def forward(self, x: Any) -> Any:
            for layer in self.hidden:
                x = layer(x)
            return x

    model, batch = Hidden(), torch.randn(64, 64)
    explanation = inferred(machine, lambda: model(batch))
    assert names(explanation) == {"Hidden.Linear", "Hidden.Linear-2", "Hidden.Linear-3"}
    assert explanation.adds_up


def test_calls_in_other_threads_are_ignored(machine: Operations) -> None:
    """Modules that another thread calls are in no layer."""
    model, other = nn.Linear(64, 64), nn.Linear(64, 64)
    batch = torch.randn(64, 64)

    def work() -> None:
        thread = threading.Thread(target=lambda: other(batch))
        thread.start()
        thread.join()
        model(batch)

    assert [layer.name for layer in explained(machine, work).layers] == ["Linear"]


# --- nothing is left changed ---------------------------------------------------------------------


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
    assert explained(machine, work).backward
    assert torch.equal(torch.rand(1), expected_next)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, replayed.state_dict()[name]), name
    for one, other in zip(alone.parameters(), replayed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_the_state_of_a_model_is_restored(machine: Operations) -> None:
    """Lists that grow, new attributes and buffers, and inputs that are written to are restored."""

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
        explanation = explained(machine, lambda: model(batch))
    assert explanation.why is None
    assert explanation.of_call == pytest.approx(1.0, abs=0.1)
    assert len(model.cache) == 1
    assert model.cache[0] is model.last
    assert model.count.item() == 1.0
    assert batch.max().item() == 1.0


def test_a_model_that_the_test_changed_later_is_replayed_as_it_was(machine: Operations) -> None:
    """A model in training mode by then is replayed as it was; with other weights it is not."""
    model, batch = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5)), torch.randn(64, 64)
    model.eval()
    explanation = inferred(machine, lambda: model(batch), after=model.train)
    assert explanation.of_call == pytest.approx(1.0, abs=0.1)
    assert model.training
    assert inferred(machine, lambda: model(batch), after=model.double).why == (
        "the test replaced the weights of its model after the measurement: use a copy of the "
        "model for that"
    )


def test_the_recorder_restores_torch(machine: Operations) -> None:
    """Modules are called by torch's own method afterwards, even if the work raises."""
    before = nn.Module.__call__
    capture = Capture(lambda: None)
    with pytest.raises(ValueError, match="lost"), capture.window("call"):
        raise ValueError("lost")
    assert nn.Module.__call__ is before


def test_no_hook_stays_on_the_tensors_of_the_work(machine: Operations) -> None:
    """Returned tensors can be saved without a warning, and a parameter has no hook left."""
    weight = nn.Parameter(torch.randn(64, 64))
    model, out = Calls(lambda x: (x @ weight, weight)), list[Any]()
    explained(machine, lambda: out.extend(model(torch.randn(8, 64))))
    assert not weight._backward_hooks
    assert not out[0]._backward_hooks


def test_a_module_that_writes_to_its_input_is_replayed(machine: Operations) -> None:
    """In training, where torch refuses writes to a leaf, the module gets tensors of its own."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(inplace=True), nn.Linear(64, 64))
    batch = torch.randn(64, 64)
    explanation = explained(machine, lambda: model(batch).sum().backward())
    assert explanation.why is None
    assert names(explanation) == {"0", "1", "2"}


def test_a_container_that_refuses_to_be_copied_is_shared(machine: Operations) -> None:
    """Capturing never makes the work fail."""

    class Stubborn(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: object, value: object) -> None:
            raise TypeError("no")

    model, given = Calls(lambda given: given["x"] * 2), Stubborn(x=torch.randn(64, 64))
    assert names(inferred(machine, lambda: model(given))) == {"Calls"}


# --- reasons for no layers -----------------------------------------------------------------------


def test_a_module_that_cannot_be_called_again_is_the_reason(machine: Operations) -> None:
    """The error of the second call is the reason why there are no layers."""
    batches = iter([torch.ones(2)])

    def forward(x: Any) -> Any:
        if (batch := next(batches, None)) is None:
            raise RuntimeError("has no second batch")
        return x + batch

    model = nn.Sequential(Calls(forward))
    explanation = explained(machine, lambda: model(torch.randn(2)))
    assert explanation.why == "Sequential cannot be called again by itself (has no second batch)"


def test_work_without_modules_has_no_layers(machine: Operations) -> None:
    """Functions of torch belong to no layer."""
    explanation = explained(machine, lambda: torch.randn(4) + 1)
    assert explanation.why == "no torch module is called in it"


def test_an_old_torch_is_the_reason(machine: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release without the function that reads the modes of a call has no layers."""
    monkeypatch.delattr(torch, "get_autocast_dtype")
    explanation = explained(machine, lambda: nn.Linear(4, 4)(torch.randn(2, 4)))
    assert explanation.why == (f"torch {torch.__version__} is too old: install torch 2.4 or newer")


def test_replays_end_when_their_time_is_up(machine: Operations) -> None:
    """Where there is no time for one round, the reason names the option that allows more."""
    layer = nn.Linear(4, 4)
    explanation = explained(machine, lambda: layer(torch.randn(2, 4)), max_time_s=-1.0)
    assert explanation.why == "its replays exceed the time limit: increase --energy-max-time"
