"""Measures a model under a load of requests: what the tests of loads share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from benchmarks.axes import Axis
from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load, Served, facts_of, requests_of
from benchmarks.generative.serving import serving
from benchmarks.utilisation import Utilisation

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

#: The same arrivals and prompts in every round and every run, so that they compare.
SEED = 2503_23934
REQUESTS = 8
ROUNDS = 3
RATES = Axis("rate", {f"rate{n}": n for n in (1, 4, 16, 64)}, ("rate4", "rate64"))


def under_load(
    energy: Energy,
    causal_lm: CausalLM,
    device: torch.device,
    facts: Callable[..., None],
    load: Load,
) -> list[Served]:
    """Measure whole runs of the load, waiting for requests included; what the last one served.

    A few requests at once are served before, unmeasured. The facts are those of the last run,
    utilisation of the devices apart: that is of the whole measurement.
    """
    requests = requests_of(load, causal_lm.config.vocab_size, SEED)
    with serving(causal_lm, load) as server:
        server([request._replace(arrival_s=0.0) for request in requests[: load.slots]])
        energy.units(request=load.requests, token=load.requests * load.answer_tokens)
        with Utilisation(device) as used:
            served = energy.pedantic(server, args=(requests,), rounds=ROUNDS, warmup_rounds=0)
    facts(
        requests=load.requests,
        rate_per_s=load.rate_per_s,
        slots=load.slots,
        prompt_tokens=load.prompt_tokens,
        answer_tokens=load.answer_tokens,
        **facts_of(served),
        **used.shares,
    )
    return served


def assert_answered(served: list[Served], load: Load) -> None:
    """Every request has its whole answer, and none had to share more than the slots."""
    assert [load.answer_tokens] * load.requests == [len(request.answer) for request in served]
    assert facts_of(served)["most_at_once"] <= load.slots
