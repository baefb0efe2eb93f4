"""Classify reviews with a pipeline of Hugging Face.

The model is made from its configuration with seeded weights, and its tokenizer knows few words, so
that nothing is downloaded: replace `classifier()` by `pipeline(..., model="your/model")`.
"""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerFast,
    TextClassificationPipeline,
)

WORDS = ["[PAD]", "[UNK]", "a", "bad", "book", "good", "not", "read", "the", "very", "was"]


def classifier() -> TextClassificationPipeline:
    """Return a pipeline that needs no network."""
    torch.manual_seed(1)
    config = DistilBertConfig(vocab_size=len(WORDS), dim=128, hidden_dim=512, n_layers=2, n_heads=4)
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return TextClassificationPipeline(
        model=DistilBertForSequenceClassification(config).eval(),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="[PAD]",
            unk_token="[UNK]",
            model_input_names=["input_ids", "attention_mask"],
        ),
    )


def classify(pipeline: TextClassificationPipeline, reviews: list[str]) -> list[str]:
    """Return the label of each review."""
    answers = pipeline(reviews, batch_size=16, padding=True, max_length=64, truncation=True)
    return [answer["label"] for answer in answers]
