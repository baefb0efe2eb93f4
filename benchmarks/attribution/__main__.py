"""Check, with the sensors of this machine, that parts add up and that a doubled layer is named.

    python -m benchmarks.attribution [RUNS]

Each part in turn does its work twice; the explanation before that is its baseline.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from benchmarks.causal_lm import random_prompts, small_llama
from benchmarks.image_classifiers import labelled_images, resnet18, training_step
from benchmarks.markdown import table
from pytest_greenops.insight.layers.capture import Capture
from pytest_greenops.insight.layers.explain_layers import Judged, explain
from pytest_greenops.insight.layers.replay import ReplayPlan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.explanation import Explanation, LayerJoules
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments

RUNS = 10
#: Only replays are measured here. The joules of the call exceed them, so that no doubt is raised.
NOT_MEASURED = math.inf


class Work(NamedTuple):
    """A model, one call of it, and the parts that are doubled in turn."""

    name: str
    model: torch.nn.Module
    call: Callable[[], object]
    parts: Sequence[str]


def works(device: torch.device) -> Iterator[Work]:
    """Yield a ResNet-18 at inference and in training, and a small Llama that reads prompts."""
    blocks = [f"resnet.encoder.stages.{s}.layers.{b}.layer.1" for s in range(4) for b in range(2)]
    model = resnet18(device).eval()
    images, labels = labelled_images(32, device)
    yield Work("ResNet-18, inference", model, lambda: model(images), blocks)

    trained = resnet18(device).train()
    optimizer = torch.optim.AdamW(trained.parameters(), fused=True)

    def step() -> torch.Tensor:
        with torch.enable_grad():
            return training_step(trained, optimizer, images, labels)

    yield Work("ResNet-18, training step", trained, step, blocks)

    llama = small_llama(device)
    prompts = random_prompts(8, 256, device)
    networks = [f"model.layers.{number}.mlp" for number in range(4)]
    attentions = [f"model.layers.{number}.self_attn" for number in range(4)]
    yield Work("Llama, reading", llama, lambda: llama(prompts), [*networks, *attentions])


def explained(
    work: Work, instruments: Instruments, accepted: Sequence[LayerJoules] = ()
) -> Explanation:
    """Return the explanation of one call, over all counted energy counters."""
    capture = Capture(synchronize)
    counters = [domain.name for domain in instruments.domains if domain.counted]
    with torch.no_grad(), capture.window("call"):
        work.call()
    judged = Judged(NOT_MEASURED, counters, accepted=accepted)
    return explain(capture, {"call": judged}, ReplayPlan(instruments, synchronize, 600.0))["call"]


def doubled(work: Work, part: str, instruments: Instruments, accepted: LayerJoules) -> str:
    """Return the layer that is named while this part does its work twice, or an empty string."""
    module = work.model.get_submodule(part)
    once = module.forward

    def twice(*args: Any, **kwargs: Any) -> Any:
        first, second = once(*args, **kwargs), once(*args, **kwargs)
        both = isinstance(first, torch.Tensor)  # so that a backward pass reaches both
        return (first + second) / 2 if both else second

    module.forward = twice
    try:
        suspect = explained(work, instruments, [accepted]).suspect
    finally:
        module.forward = once
    return "" if suspect is None else suspect.name


def _holds(named: str, part: str) -> bool:
    """Return whether the named layer is this part, or a block that contains it."""
    return bool(named) and f"{part}.".startswith(f"{named}.")


def main(runs: int) -> None:
    """Print how the parts of each work add up, and how often the doubled part was named."""
    instruments, _ = discover(("auto",), [], None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for work in works(device):
        sums = []
        for _ in range(runs):
            before = explained(work, instruments)
            sums.append(before.additivity)
            print(f"{work.name}: {before.why or f'{before.additivity:.1%}'}", file=sys.stderr)
        accepted = LayerJoules(before.by_layer)
        named = [doubled(work, part, instruments, accepted) for part in work.parts]
        right = sum(map(_holds, named, work.parts))
        print(f"{work.name}: named {named}", file=sys.stderr)
        within = sum(abs(each - 1) <= 0.1 for each in sums)
        rows.append(
            (
                work.name,
                f"{min(sums):.1%} to {max(sums):.1%}",
                f"{within} of {runs}",
                f"{right} of {len(named)}",
            )
        )
    heading = ("work", "parts of the whole", "within 10 %", "doubled part named")
    print("\n".join(table(heading, rows)))


if __name__ == "__main__":
    torch.manual_seed(0)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
