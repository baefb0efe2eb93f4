"""Energy of requests that arrive at random times: gross, and net of idling.

Requests arrive as a Poisson process, are served with continuous batching, and wait while all slots
are busy. One measured call is one run of the load, from its start to the last answer, including the
idle time between requests. Another test measures the power of idling, while the same server waits.
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
from benchmarks.generative.serving import (
    RATES,
    REQUESTS,
    ROUNDS,
    assert_answered,
    measure_load,
    serving,
)

if TYPE_CHECKING:
    from pytest_greenops import Energy

pytestmark = pytest.mark.energy_budget(max_increase="5%", max_time="40 s")

#: Short and long answers to prompts of one length.
REQUEST_LENGTHS = ("short_answer", "long_reasoning")
#: Duration of one measured wait.
WAIT_S = 0.5


@RATES.mark
@Axis("length", {name: LENGTHS[name] for name in REQUEST_LENGTHS}, REQUEST_LENGTHS[:1]).mark
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
    """All requests are answered, within the slots."""
    load = Load(rate, REQUESTS, *length, slots=slots)
    assert_answered(measure_load(energy, causal_lm, device, facts, load), load)


@pytest.mark.energy_budget(max_increase="100%", action="warn")
@models("llama_3m", "llama_10m", "qwen3_3m").mark
def test_idle(energy: Energy, causal_lm: CausalLM, facts: Callable[..., None]) -> None:
    """A server waits without requests: its energy is reported, and never fails the test."""
    with serving(causal_lm, Load(1, 1, *LENGTHS["short_answer"], slots=1)):
        energy.units(second=WAIT_S)
        energy.pedantic(time.sleep, args=(WAIT_S,), rounds=ROUNDS, warmup_rounds=0)

    facts(waited_s=WAIT_S)
