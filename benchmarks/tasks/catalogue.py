"""The ten tasks of *Power Hungry Processing* (arXiv 2311.16863)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import transformers

from benchmarks.checkpoints import Checkpoint
from benchmarks.tasks import configurations as made
from benchmarks.tasks import inference as does
from benchmarks.tasks.inference import Config, Inputs, Model
from benchmarks.tasks.sizes import Size


@dataclass(frozen=True)
class Task:
    """One task, and the model that does it here.

    model      the class of transformers
    configure  makes its configuration
    inputs     makes what one inference reads; of one input
    infer      does it, and gives back what was found
    shape      of that, for a model of its own configuration
    loads      ends of the names of classes that do this task too
    """

    model: str
    configure: Callable[[Size], Config]
    inputs: Callable[[Config, Size], Inputs]
    infer: Callable[[Model, Inputs, Size], torch.Tensor]
    shape: Callable[[Size], tuple[int, ...]]
    loads: tuple[str, ...]

    def build(self, size: Size) -> Model:
        """The model with random weights, ready to infer."""
        return getattr(transformers, self.model)(self.configure(size)).eval()

    def inputs_of(self, model: Model, size: Size) -> Inputs:
        """What one inference of this model reads, where the model is."""
        return {k: v.to(model.device) for k, v in self.inputs(model.config, size).items()}


#: Captioning stands before what it shares ends of names with.
TASKS = {
    "text_classification": Task(
        "DistilBertForSequenceClassification",
        partial(made.classes, 2),
        does.text,
        does.logits,
        lambda size: (1, 2),
        ("ForSequenceClassification",),
    ),
    "token_classification": Task(
        "DistilBertForTokenClassification",
        partial(made.classes, 9),
        does.text,
        does.logits,
        lambda size: (1, size.words, 9),
        ("ForTokenClassification",),
    ),
    "question_answering": Task(
        "DistilBertForQuestionAnswering",
        made.encoder,
        does.text,
        does.spans,
        lambda size: (1, size.words, 2),
        ("ForQuestionAnswering", "ForQuestionAnsweringSimple"),
    ),
    "masked_language_modelling": Task(
        "DistilBertForMaskedLM",
        made.encoder,
        does.text,
        does.logits,
        lambda size: (1, size.words, size.vocabulary),
        ("ForMaskedLM",),
    ),
    "image_classification": Task(
        "ViTForImageClassification",
        made.classifier,
        does.picture,
        does.logits,
        lambda size: (1, 1000),
        ("ForImageClassification",),
    ),
    "object_detection": Task(
        "YolosForObjectDetection",
        made.detector,
        does.scene,
        does.boxes,
        lambda size: (1, 100, 4),
        ("ForObjectDetection",),
    ),
    "image_captioning": Task(
        "VisionEncoderDecoderModel",
        made.captioner,
        does.picture,
        does.words,
        lambda size: (1, size.answer),
        ("VisionEncoderDecoderModel", "GitForCausalLM", "BlipForConditionalGeneration"),
    ),
    "text_generation": Task(
        "GPT2LMHeadModel",
        made.decoder,
        does.text,
        does.words,
        lambda size: (1, size.answer),
        ("ForCausalLM", "GPT2LMHeadModel"),
    ),
    "summarisation": Task(
        "T5ForConditionalGeneration",
        made.text_to_text,
        does.text,
        does.words,
        lambda size: (1, size.answer),
        ("ForConditionalGeneration",),
    ),
    "image_generation": Task(
        "ImageGPTForCausalImageModeling",
        made.painter,
        does.blank,
        does.pixels,
        lambda size: (1, size.drawn**2),
        ("ForCausalImageModeling",),
    ),
}

#: What a checkpoint may end with to stand in for one of them.
LOADS = tuple(suffix for task in TASKS.values() for suffix in task.loads)


def name_of(task: Task | Checkpoint) -> str:
    """Its name; of a checkpoint the first task whose classes its own is one of."""
    return next(
        name
        for name, known in TASKS.items()
        if task is known or (isinstance(task, Checkpoint) and task.is_a(known.loads))
    )
