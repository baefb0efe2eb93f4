"""Requests that come at random, and the energy of answering them: gross, and net of waiting.

Requests arrive by the clock (Poisson), are served together as continuous batching has it, and wait
where all slots are busy. One measured call is one run of the load, from its begin to the last
answer: between requests the machine idles, and that is in the joules. What idling alone takes is
measured by a test of its own, while the same server waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.axes import Axis
from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load
from benchmarks.generative.models import LENGTHS, Length, models
from benchmarks.generative.serving import serving
from benchmarks.generative.under_load import RATES, REQUESTS, ROUNDS, assert_answered, under_load

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

pytestmark = pytest.mark.energy_budget(max_increase="5%", max_time="40 s")

#: Requests under load: those whose answers differ most, for prompts of one length.
ASKED = ("short_answer", "long_reasoning")
#: How long the server is watched while nobody asks.
WAIT_S = 0.5


@RATES.mark
@Axis("length", {name: LENGTHS[name] for name in ASKED}, ASKED[:1]).mark
@Axis("slots", {f"slots{n}": n for n in (1, 4, 16)}, ("slots4",)).mark
@models("qwen3_3m").mark
def test_load(
    energy: Energy,
    causal_lm: CausalLM,
    device: torch.device,
    facts: Callable[..., None],
    rate: float,
    slots: int,
    length: Length,
) -> None:
    """All requests are answered, in as many slots as there are."""
    load = Load(rate, REQUESTS, *length, slots=slots)
    assert_answered(under_load(energy, causal_lm, device, facts, load), load)


@pytest.mark.energy_budget(max_increase="100%", action="warn")
@models("llama_3m", "llama_10m", "qwen3_3m").mark
def test_idle(energy: Energy, causal_lm: CausalLM, facts: Callable[..., None]) -> None:
    """A server that nobody asks waits: what the machine takes meanwhile is told, and not gated."""
    with serving(causal_lm, Load(1, 1, *LENGTHS["short_answer"], slots=1)):
        energy.units(second=WAIT_S)
        energy.pedantic(time.sleep, args=(WAIT_S,), rounds=ROUNDS, warmup_rounds=0)

    facts(waited_s=WAIT_S)
