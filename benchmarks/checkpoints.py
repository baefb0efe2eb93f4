"""A real checkpoint, by the name or the path that transformers loads it from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch


class Checkpoint:
    """Builds the model that a checkpoint holds, where a benchmark would build one of its own.

    Raises `pytest.UsageError` where there is none of that name, or transformers cannot read it.
    """

    def __init__(self, name_or_path: str) -> None:
        self._source = name_or_path
        self.id = Path(name_or_path).name

    def __call__(self, device: torch.device, **settings: Any) -> Any:
        """The model, on the device; `settings` are for `from_pretrained`, such as `dtype`."""
        import transformers

        return (
            getattr(transformers, self._class).from_pretrained(self._source, **settings).to(device)
        )

    def is_a(self, suffix: str) -> bool:
        """Whether the class that wrote it ends so: `ForCausalLM`, `ForImageClassification`."""
        return self._class.endswith(suffix)

    @cached_property
    def config(self) -> Any:
        """Its configuration, as transformers reads it."""
        try:
            from transformers import AutoConfig

            return AutoConfig.from_pretrained(self._source)
        except (ImportError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise pytest.UsageError(f"--energy-model {self._source}: {reason}") from None

    @cached_property
    def _class(self) -> str:
        import transformers

        names = getattr(self.config, "architectures", None) or ()
        known = [name for name in names if hasattr(transformers, name)]
        if not known:
            raise pytest.UsageError(
                f"--energy-model {self._source}: its config.json names no class of transformers "
                "(architectures); save it with save_pretrained of such a class"
            )
        return known[0]
