"""Input and output of one inference, and loading of a model; also for real checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import torch

from benchmarks.checkpoints import Checkpoint
from benchmarks.tasks.configurations import Size

#: Any, since the types of transformers do not describe the arguments of a model.
Model: TypeAlias = Any
Config: TypeAlias = Any
Inputs: TypeAlias = dict[str, torch.Tensor]

#: One of this many elements of each tensor is read: at least one in every page of 4 KiB.
STRIDE = 512


def text(config: Config, size: Size) -> Inputs:
    """Return one text of random words, `(1, words)`."""
    vocabulary = config.get_text_config().vocab_size
    tokens = torch.randint(vocabulary, (1, size.words))
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def picture(config: Config, size: Size) -> Inputs:
    """Return one image of noise, `(1, 3, height, width)`."""
    return _image(config, size.picture)


def scene(config: Config, size: Size) -> Inputs:
    """Return one larger image of noise, `(1, 3, height, width)`."""
    return _image(config, size.scene)


def blank(config: Config, size: Size) -> Inputs:
    """Return the token that begins an image, `(1, 1)`: the one after the colours."""
    begin = torch.full((1, 1), config.vocab_size - 1)
    return {"input_ids": begin, "attention_mask": torch.ones_like(begin)}


def logits(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Return scores of labels or words."""
    scores: torch.Tensor = model(**inputs).logits
    return scores


def spans(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Return scores of start and end of the answer in the text, `(1, words, 2)`."""
    output = model(**inputs)
    return torch.stack((output.start_logits, output.end_logits), dim=-1)


def boxes(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Return the boxes of objects, `(1, objects, 4)`."""
    found: torch.Tensor = model(**inputs).pred_boxes
    return found


def words(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Return the tokens of an answer of fixed length, `(1, answer)`."""
    return _generated(model, inputs, size.answer)


def pixels(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Return the colours of an image, row by row, `(1, drawn * drawn)`."""
    return _generated(model, inputs, size.drawn**2)


def _generated(model: Model, inputs: Inputs, tokens: int) -> torch.Tensor:
    written: torch.Tensor = model.generate(
        **inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, num_beams=1
    )
    return written[:, -tokens:]


def _image(config: Config, side: int) -> Inputs:
    """Return an image of the size in the configuration, else of the given size."""
    vision = getattr(config, "vision_config", None) or getattr(config, "encoder", None) or config
    sides = getattr(vision, "image_size", None) or side
    height, width = (sides, sides) if isinstance(sides, int) else sides
    return {"pixel_values": torch.randn(1, 3, height, width)}


@contextmanager
def saved(model: Model) -> Iterator[Checkpoint]:
    """Save the model as a checkpoint in a folder that is deleted afterwards."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        yield Checkpoint(folder)


def load(checkpoint: Checkpoint, device: torch.device) -> Model:
    """Load the model to the device, with all weights in memory.

    On a CPU `from_pretrained` only maps the file, and the first inference would read the weights.
    So this reads a part of every page.
    """
    model = checkpoint(device).eval()
    for weights in model.state_dict().values():
        weights.flatten()[::STRIDE].sum()
    return model
