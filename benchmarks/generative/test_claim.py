"""A claim of the study: a larger model need not use more where utilisation is low.

Sizes of one family are asked the same, by the same clock: seldom, so that most of the time is spent
waiting, and so often that none is; no request waits for another. What it comes to is told by the
room's tables, whichever way it falls: no test here fails on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load
from benchmarks.generative.models import LENGTHS, models
from benchmarks.generative.under_load import RATES, REQUESTS, assert_answered, under_load

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

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
    assert_answered(under_load(energy, causal_lm, device, facts, load), load)
