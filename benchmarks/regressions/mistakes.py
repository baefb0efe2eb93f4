"""Which mistake this run makes: the one that ``BENCH_REGRESSION`` names, or none."""

from __future__ import annotations

import os

import pytest

MISTAKES = (
    "autograd_left_on",
    "one_by_one",
    "unfused_optimizer",
    "eager_attention",
    "float64",
    "no_cache",
)

MISTAKE = os.environ.get("BENCH_REGRESSION", "")

if MISTAKE and MISTAKE not in MISTAKES:
    raise pytest.UsageError(f"BENCH_REGRESSION={MISTAKE}: is none of {', '.join(MISTAKES)}")
