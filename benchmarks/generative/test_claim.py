"""A claim of the study: at low utilisation a larger model need not use more energy.

Models of one family receive the same requests at the same times: at a low rate, with mostly waiting
time, and at a high rate, without. No request waits for another. The tables report the result; no
test fails on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load
from benchmarks.generative.models import LENGTHS, models
from benchmarks.generative.serving import RATES, REQUESTS, assert_answered, measure_load

if TYPE_CHECKING:
    from pytest_greenops import Energy

pytestmark = [
    pytest.mark.energy_budget(max_increase="5%", max_time="40 s"),
    models("llama_3m", "llama_10m").mark,
    RATES.mark,
]


def test_larger_model(
    energy: Energy,
    causal_lm: CausalLM,
    device: torch.device,
    facts: Callable[..., None],
    rate: float,
) -> None:
    """Every size answers the same requests, at low and at high utilisation."""
    load = Load(rate, REQUESTS, *LENGTHS["short_answer"], slots=REQUESTS)
    assert_answered(measure_load(energy, causal_lm, device, facts, load), load)
