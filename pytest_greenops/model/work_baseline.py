"""The counted work that was accepted for a test."""

from __future__ import annotations

import msgspec

from pytest_greenops.model.baseline import Revision, TestKey
from pytest_greenops.model.counted import Counted

#: Version of the file of accepted work. Its history:
#: 1  the first: one table for each name, by operator and by module.
WORK_SCHEMA = 1
#: Packages that own models: another version may compute the same model by other operators. A
#: process has the version of a package if any of its tests has loaded it.
MODEL_PACKAGES = (
    *("transformers", "torchvision", "torchaudio", "timm", "diffusers", "peft"),
    *("sentence_transformers", "torchao", "bitsandbytes", "accelerate", "lightning"),
)


class AcceptedWork(msgspec.Struct, frozen=True):
    """The accepted work of one named measurement: one table, the same on every machine.

    facts        what must be the same for a comparison: torch, the model's package, device kinds, …
    weights      version of the weights when it was accepted, for the reader
    accepted_at  UTC, ISO 8601
    revision     the code that was counted
    """

    counted: Counted
    facts: dict[str, str]
    weights: str
    accepted_at: str
    revision: Revision


class WorkBaseline(msgspec.Struct, frozen=True):
    """One file of the folder `work`: the accepted work of one test by name of the measurement."""

    schema: int
    test: TestKey
    measurements: dict[str, AcceptedWork]
