"""Mistakes that people make with energy, each found by the test whose work it is.

As they stand these tests do their work well, and that is their baseline. ``BENCH_REGRESSION``
makes one mistake, in one test, which goes red; the others stay green::

    pytest benchmarks/regressions --energy-save
    BENCH_REGRESSION=no_cache pytest benchmarks/regressions --energy

What is computed stays what it was, so every assertion below still holds: only the joules tell.

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

CPU time of a call with the mistake over one without: the median of 8 pairs in a process, from the
lowest to the highest of 8 processes, on two cores of an AMD EPYC (Zen 4) with PyTorch 2.13. Where
the span is wide, so is what the memory allocator finds free.
"""

from __future__ import annotations

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
from benchmarks.regressions.mistakes import MISTAKE

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

pytestmark = pytest.mark.energy_budget(max_increase="5%")


def test_classification(energy: Energy, device: torch.device) -> None:
    """Goes red when autograd records the forward pass, or when images are sent one by one."""
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
    """Goes red when AdamW updates the weights in many small operations instead of a fused one."""
    model = resnet18(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=MISTAKE != "unfused_optimizer")
    images, labels = labelled_images(4, device)

    energy.units(sample=4)
    loss = energy(training_step, model, optimizer, images, labels)

    assert torch.isfinite(loss)


def test_reading_a_long_prompt(energy: Energy, device: torch.device) -> None:
    """Goes red when attention is computed eagerly, or when weights are in double precision."""
    model = small_llama(device, "eager" if MISTAKE == "eager_attention" else "sdpa")
    model.to(dtype=torch.float64 if MISTAKE == "float64" else torch.float32)
    prompt = random_prompts(1, 1024, device)

    energy.units(token=prompt.numel())
    with torch.inference_mode():
        output = energy(model, prompt)

    assert output.logits.shape == (1, 1024, VOCABULARY)


def test_generation(energy: Energy, device: torch.device) -> None:
    """Goes red when every new token reads the whole text again, for want of a cache."""
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
