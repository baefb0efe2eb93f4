"""Models of the ten tasks by their configuration, each of a kind that the study ran too.

The exception is image generation: the study's were diffusion models, which transformers has not;
ImageGPT draws an image pixel by pixel instead.
"""

from __future__ import annotations

from typing import Any

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

from benchmarks.tasks.sizes import Size

PATCH = 16
#: How much wider than its stack a feed-forward layer is.
WIDER = 4
#: Colours of an image that ImageGPT draws (Chen et al., 2020: 512, by k-means).
COLOURS = 512


def encoder(size: Size, **labels: Any) -> DistilBertConfig:
    """A DistilBERT (Sanh et al., 2019), which reads a text."""
    return DistilBertConfig(
        vocab_size=size.vocabulary,
        max_position_embeddings=max(size.words, 512),
        dim=size.width,
        hidden_dim=WIDER * size.width,
        n_layers=size.layers,
        n_heads=size.heads,
        **labels,
    )


def classes(number: int, size: Size) -> DistilBertConfig:
    """The same, which gives a text, or each of its tokens, one of so many labels."""
    return encoder(size, num_labels=number)


def decoder(size: Size) -> GPT2Config:
    """A GPT-2 (Radford et al., 2019), which goes on with a text and never ends by itself."""
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
    """A T5 (Raffel et al., 2019), which reads a text and writes another."""
    return T5Config(
        vocab_size=size.vocabulary,
        d_model=size.width,
        d_kv=size.width // size.heads,
        d_ff=WIDER * size.width,
        num_layers=size.layers,
        num_decoder_layers=size.layers,
        num_heads=size.heads,
        decoder_start_token_id=0,
    )


def classifier(size: Size, labels: int = 1000) -> ViTConfig:
    """A vision transformer (Dosovitskiy et al., 2020) with as many labels as ImageNet."""
    return ViTConfig(
        hidden_size=size.width,
        intermediate_size=WIDER * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        image_size=size.picture,
        patch_size=PATCH,
        num_labels=labels,
    )


def detector(size: Size) -> YolosConfig:
    """A YOLOS (Fang et al., 2021), which looks for up to a hundred objects of COCO's 91 kinds."""
    return YolosConfig(
        hidden_size=size.width,
        intermediate_size=WIDER * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        image_size=[size.scene, size.scene],
        patch_size=PATCH,
        num_labels=91,
        use_mid_position_embeddings=False,
    )


def captioner(size: Size) -> PretrainedConfig:
    """A vision transformer that is read by a GPT-2."""
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        classifier(size), decoder(size)
    )
    config.decoder_start_token_id, config.pad_token_id = 0, 1
    return config


def painter(size: Size) -> ImageGPTConfig:
    """An ImageGPT (Chen et al., 2020): one token is one pixel, and one more begins an image."""
    return ImageGPTConfig(
        vocab_size=COLOURS + 1,
        n_positions=size.drawn**2,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
    )
