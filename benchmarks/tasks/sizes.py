"""How large the models of the tasks are, and how much one inference has to do."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """One size, shared by all tasks so that they can be compared.

    width       of the hidden layers; `layers` and `heads` of each stack
    vocabulary  tokens that a model of texts knows
    words       tokens of a text that is read
    answer      tokens of a text that is written
    picture     side of an image that is classified or captioned, in pixels
    scene       side of an image in which objects are searched, in pixels
    drawn       side of an image that is generated, in pixels
    """

    width: int
    layers: int
    heads: int
    vocabulary: int
    words: int
    answer: int
    picture: int
    scene: int
    drawn: int


SIZES = {
    "small": Size(128, 2, 4, 4_096, words=128, answer=8, picture=224, scene=320, drawn=8),
    # The width and depth of BERT-base, GPT-2 and ViT-base.
    "base": Size(768, 12, 12, 30_522, words=384, answer=32, picture=224, scene=512, drawn=16),
}
