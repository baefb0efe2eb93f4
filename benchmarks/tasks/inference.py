"""What one inference reads and gives back, for a model made here as for a real checkpoint."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from benchmarks.tasks.sizes import Size

#: Any, for the types of transformers tell nothing of what a model is called with.
Model: TypeAlias = Any
Config: TypeAlias = Any
Inputs: TypeAlias = dict[str, torch.Tensor]


def text(config: Config, size: Size) -> Inputs:
    """One text of random words, `(1, words)`."""
    vocabulary = config.get_text_config().vocab_size
    tokens = torch.randint(vocabulary, (1, size.words))
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def picture(config: Config, size: Size) -> Inputs:
    """One image of noise, `(1, 3, height, width)`."""
    return _image(config, size.picture)


def scene(config: Config, size: Size) -> Inputs:
    """One larger image of noise, `(1, 3, height, width)`."""
    return _image(config, size.scene)


def blank(config: Config, size: Size) -> Inputs:
    """The token that begins an image, `(1, 1)`: the one after its colours."""
    begin = torch.full((1, 1), config.vocab_size - 1)
    return {"input_ids": begin, "attention_mask": torch.ones_like(begin)}


def logits(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Scores of labels or words."""
    scores: torch.Tensor = model(**inputs).logits
    return scores


def spans(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Scores of where in the text the answer begins and ends, `(1, words, 2)`."""
    output = model(**inputs)
    return torch.stack((output.start_logits, output.end_logits), dim=-1)


def boxes(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """Where objects are, `(1, objects, 4)`."""
    found: torch.Tensor = model(**inputs).pred_boxes
    return found


def words(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """The words of an answer, of exactly one length: `(1, answer)`."""
    return _generated(model, inputs, size.answer)


def pixels(model: Model, inputs: Inputs, size: Size) -> torch.Tensor:
    """The colours of an image, row by row: `(1, drawn * drawn)`."""
    return _generated(model, inputs, size.drawn**2)


def _generated(model: Model, inputs: Inputs, tokens: int) -> torch.Tensor:
    written: torch.Tensor = model.generate(
        **inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, num_beams=1
    )
    return written[:, -tokens:]


def _image(config: Config, side: int) -> Inputs:
    """Of the size that the model was made for, where its configuration tells it."""
    seeing = getattr(config, "vision_config", None) or getattr(config, "encoder", None) or config
    sides = getattr(seeing, "image_size", None) or side
    height, width = (sides, sides) if isinstance(sides, int) else sides
    return {"pixel_values": torch.randn(1, 3, height, width)}
