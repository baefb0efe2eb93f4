"""Configurations of a model for each of the ten tasks, by size.

The architectures are those of the study, except for image generation: transformers has no diffusion
models, so ImageGPT generates an image pixel by pixel instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from transformers import (
    DistilBertConfig,
    GPT2Config,
    ImageGPTConfig,
    PretrainedConfig,
    T5Config,
    VisionEncoderDecoderConfig,
    ViTConfig,
    YolosConfig,
)


class Size(NamedTuple):
    """One size, the same for all tasks so that they are comparable.

    width       of the hidden layers; `layers` and `heads` of each stack
    vocabulary  tokens of a text model
    words       input tokens of a text
    answer      output tokens of a text
    picture     side of an image to classify or caption, in pixels
    scene       side of an image with objects to detect, in pixels
    drawn       side of a generated image, in pixels
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
PATCH = 16
#: Width of a feed-forward layer relative to its stack.
FEED_FORWARD = 4
#: Colours of ImageGPT (Chen et al., 2020: 512, by k-means).
COLOURS = 512


def encoder(size: Size, **labels: Any) -> DistilBertConfig:
    """Configure a DistilBERT (Sanh et al., 2019), which reads a text."""
    return DistilBertConfig(
        vocab_size=size.vocabulary,
        max_position_embeddings=max(size.words, 512),
        dim=size.width,
        hidden_dim=FEED_FORWARD * size.width,
        n_layers=size.layers,
        n_heads=size.heads,
        **labels,
    )


def classes(number: int, size: Size) -> DistilBertConfig:
    """Configure a DistilBERT with labels for a text, or for each of its tokens."""
    return encoder(size, num_labels=number)


def decoder(size: Size) -> GPT2Config:
    """Configure a GPT-2 (Radford et al., 2019) that continues a text without an end token."""
    return GPT2Config(
        vocab_size=size.vocabulary,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=1,
    )


def text_to_text(size: Size) -> T5Config:
    """Configure a T5 (Raffel et al., 2019), which reads a text and writes another."""
    return T5Config(
        vocab_size=size.vocabulary,
        d_model=size.width,
        d_kv=size.width // size.heads,
        d_ff=FEED_FORWARD * size.width,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        num_heads=size.heads,
        decoder_start_token_id=0,
    )


def classifier(size: Size, labels: int = 1000) -> ViTConfig:
    """Configure a ViT (Dosovitskiy et al., 2020) with as many labels as ImageNet."""
    return ViTConfig(
        hidden_size=size.width,
        intermediate_size=FEED_FORWARD * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        image_size=size.picture,
        patch_size=PATCH,
        num_labels=labels,
    )


def detector(size: Size) -> YolosConfig:
    """Configure a YOLOS (Fang et al., 2021): up to a hundred objects of COCO's 91 kinds."""
    return YolosConfig(
        hidden_size=size.width,
        intermediate_size=FEED_FORWARD * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        image_size=[size.scene, size.scene],
        patch_size=PATCH,
        num_labels=91,
        use_mid_position_embeddings=False,
    )


def captioner(size: Size) -> PretrainedConfig:
    """Configure a ViT encoder with a GPT-2 decoder."""
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        classifier(size), decoder(size)
    )
    config.decoder_start_token_id, config.pad_token_id = 0, 1
    return config


def painter(size: Size) -> ImageGPTConfig:
    """Configure an ImageGPT (Chen et al., 2020): a token per pixel, and one to begin an image."""
    return ImageGPTConfig(
        vocab_size=COLOURS + 1,
        n_positions=size.drawn**2,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
    )
