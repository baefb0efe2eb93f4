"""The ten tasks of *Power Hungry Processing* (arXiv 2311.16863)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import transformers

from benchmarks.checkpoints import Checkpoint
from benchmarks.tasks import configurations, inference
from benchmarks.tasks.configurations import Size
from benchmarks.tasks.inference import Config, Inputs, Model


@dataclass(frozen=True)
class Task:
    """One task, with a model for it.

    model      class of transformers
    configure  makes the configuration
    inputs     makes one input
    infer      runs the model and returns its output
    shape      shape of the output, for a model of this configuration
    loads      suffixes of the classes whose checkpoints do this task
    """

    model: str
    configure: Callable[[Size], Config]
    inputs: Callable[[Config, Size], Inputs]
    infer: Callable[[Model, Inputs, Size], torch.Tensor]
    shape: Callable[[Size], tuple[int, ...]]
    loads: tuple[str, ...]

    def build(self, size: Size) -> Model:
        """Return the model with random weights in evaluation mode."""
        return getattr(transformers, self.model)(self.configure(size)).eval()

    def inputs_of(self, model: Model, size: Size) -> Inputs:
        """Return one input on the device of the model."""
        return {k: v.to(model.device) for k, v in self.inputs(model.config, size).items()}


#: Captioning is before text generation, since some of its classes end with the same suffix.
TASKS = {
    "text_classification": Task(
        "DistilBertForSequenceClassification",
        partial(configurations.classes, 2),
        inference.text,
        inference.logits,
        lambda size: (1, 2),
        ("ForSequenceClassification",),
    ),
    "token_classification": Task(
        "DistilBertForTokenClassification",
        partial(configurations.classes, 9),
        inference.text,
        inference.logits,
        lambda size: (1, size.words, 9),
        ("ForTokenClassification",),
    ),
    "question_answering": Task(
        "DistilBertForQuestionAnswering",
        configurations.encoder,
        inference.text,
        inference.spans,
        lambda size: (1, size.words, 2),
        ("ForQuestionAnswering", "ForQuestionAnsweringSimple"),
    ),
    "masked_language_modelling": Task(
        "DistilBertForMaskedLM",
        configurations.encoder,
        inference.text,
        inference.logits,
        lambda size: (1, size.words, size.vocabulary),
        ("ForMaskedLM",),
    ),
    "image_classification": Task(
        "ViTForImageClassification",
        configurations.classifier,
        inference.picture,
        inference.logits,
        lambda size: (1, 1000),
        ("ForImageClassification",),
    ),
    "object_detection": Task(
        "YolosForObjectDetection",
        configurations.detector,
        inference.scene,
        inference.boxes,
        lambda size: (1, 100, 4),
        ("ForObjectDetection",),
    ),
    "image_captioning": Task(
        "VisionEncoderDecoderModel",
        configurations.captioner,
        inference.picture,
        inference.words,
        lambda size: (1, size.answer),
        ("VisionEncoderDecoderModel", "GitForCausalLM", "BlipForConditionalGeneration"),
    ),
    "text_generation": Task(
        "GPT2LMHeadModel",
        configurations.decoder,
        inference.text,
        inference.words,
        lambda size: (1, size.answer),
        ("ForCausalLM", "GPT2LMHeadModel"),
    ),
    "summarisation": Task(
        "T5ForConditionalGeneration",
        configurations.text_to_text,
        inference.text,
        inference.words,
        lambda size: (1, size.answer),
        ("ForConditionalGeneration",),
    ),
    "image_generation": Task(
        "ImageGPTForCausalImageModeling",
        configurations.painter,
        inference.blank,
        inference.pixels,
        lambda size: (1, size.drawn**2),
        ("ForCausalImageModeling",),
    ),
}

#: Suffixes of classes whose checkpoints do any of the tasks.
LOADS = tuple(suffix for task in TASKS.values() for suffix in task.loads)


def name_of(task: Task | Checkpoint) -> str:
    """Return the name of a task; for a checkpoint, that of the first task with its class."""
    return next(
        name
        for name, known in TASKS.items()
        if task is known or (isinstance(task, Checkpoint) and task.is_a(known.loads))
    )
