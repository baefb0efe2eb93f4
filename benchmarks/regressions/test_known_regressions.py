"""Common mistakes that increase energy, each detected by one of these tests.

By default these tests run without mistakes, which is their baseline. ``BENCH_REGRESSION`` adds one
mistake to one test, which then fails; the others still pass::

    pytest benchmarks/regressions --energy-save
    BENCH_REGRESSION=no_cache pytest benchmarks/regressions --energy

The mistakes do not change the results, so that all assertions below still hold.

===================== ============================================ ============
``BENCH_REGRESSION``  the mistake                                  CPU time
===================== ============================================ ============
``autograd_left_on``  inference outside ``torch.inference_mode()`` x 1.2 to 2.0
``one_by_one``        128 images in 128 batches                    x 11 to 17
``unfused_optimizer`` ``AdamW`` without ``fused=True``             x 1.4 to 1.9
``eager_attention``   ``attn_implementation="eager"``              x 1.5 to 4.0
``float64``           weights in double precision                  x 2.2 to 2.7
``no_cache``          ``generate(..., use_cache=False)``           x 3.5 to 3.9
===================== ============================================ ============

CPU time: a call with the mistake relative to one without, as the median of 8 pairs in a process,
from the lowest to the highest of 8 processes, on two cores of an AMD EPYC (Zen 4) with PyTorch
2.13. Wide ranges come from the memory allocator.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.causal_lm import VOCABULARY, random_prompts, small_llama
from benchmarks.image_classifiers import (
    LABELS,
    labelled_images,
    mobilenet_v2,
    resnet18,
    training_step,
)

if TYPE_CHECKING:
    from pytest_greenops import Energy

MISTAKES = (
    *("autograd_left_on", "one_by_one", "unfused_optimizer"),
    *("eager_attention", "float64", "no_cache"),
)
#: The mistake of this run, or an empty string.
MISTAKE = os.environ.get("BENCH_REGRESSION", "")
if MISTAKE and MISTAKE not in MISTAKES:
    raise pytest.UsageError(f"BENCH_REGRESSION={MISTAKE}: expected one of: {', '.join(MISTAKES)}")

pytestmark = pytest.mark.energy_budget(max_increase="5%")


def test_classification(energy: Energy, device: torch.device) -> None:
    """Fail if autograd records the forward pass, or if images are sent one by one."""
    model = mobilenet_v2(device).eval()
    images, _ = labelled_images(128, device)
    batches = images.split(1 if MISTAKE == "one_by_one" else 128)

    def classify() -> torch.Tensor:
        with torch.inference_mode(MISTAKE != "autograd_left_on"):
            return torch.cat([model(batch).logits for batch in batches])

    energy.units(sample=128)
    logits = energy(classify)

    assert logits.shape == (128, len(LABELS))


def test_training_step(energy: Energy, device: torch.device) -> None:
    """Fail if AdamW updates the weights in many small operations instead of a fused one."""
    model = resnet18(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=MISTAKE != "unfused_optimizer")
    images, labels = labelled_images(4, device)

    energy.units(sample=4)
    loss = energy(training_step, model, optimizer, images, labels)

    assert torch.isfinite(loss)


def test_reading_a_long_prompt(energy: Energy, device: torch.device) -> None:
    """Fail if attention is eager, or if weights are in double precision."""
    model = small_llama(device, "eager" if MISTAKE == "eager_attention" else "sdpa")
    model.to(dtype=torch.float64 if MISTAKE == "float64" else torch.float32)
    prompt = random_prompts(1, 1024, device)

    energy.units(token=prompt.numel())
    with torch.inference_mode():
        output = energy(model, prompt)

    assert output.logits.shape == (1, 1024, VOCABULARY)


def test_generation(energy: Energy, device: torch.device) -> None:
    """Fail if every new token reads the whole text again, without a cache."""
    model = small_llama(device)
    prompts = random_prompts(4, 64, device)

    energy.units(request=4, token=lambda texts: texts.numel() - prompts.numel())
    texts = energy(
        model.generate,
        prompts,
        max_new_tokens=16,
        do_sample=False,
        use_cache=MISTAKE != "no_cache",
    )

    assert texts.shape == (4, 64 + 16)
