"""A real checkpoint, by the name or the path that transformers loads it from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch


class Checkpoint:
    """Builds the model that a checkpoint holds, where a benchmark would build one of its own.

    id      the last part of its name or path
    config  its configuration, as transformers reads it

    Raises `pytest.UsageError` where there is none of that name, or transformers cannot read it.
    """

    def __init__(self, name_or_path: str) -> None:
        self._source = name_or_path
        self.id = Path(name_or_path).name
        self.config: Any = self._read()
        self._class = self._known_class()

    @classmethod
    def read(cls, name_or_path: str | None) -> Checkpoint | None:
        """The checkpoint of that name, if one was named."""
        return cls(name_or_path) if name_or_path else None

    def __call__(self, device: torch.device, **settings: Any) -> Any:
        """The model, on the device; `settings` are for `from_pretrained`, such as `dtype`."""
        return self._class.from_pretrained(self._source, **settings).to(device)

    def is_a(self, suffix: str | tuple[str, ...]) -> bool:
        """Whether the class that wrote it ends so: `ForCausalLM`, `ForImageClassification`."""
        return bool(self._class.__name__.endswith(suffix))

    def _read(self) -> Any:
        try:
            from transformers import AutoConfig

            return AutoConfig.from_pretrained(self._source)
        except ImportError:
            raise self._error("needs transformers: pip install 'pytest-greenops[bench]'") from None
        except (OSError, ValueError) as error:
            reason, *_ = str(error).splitlines()
            if self._source.startswith((".", "/", "~")) and not Path(self._source).exists():
                reason = "there is no such folder"
            raise self._error(reason) from None

    def _known_class(self) -> Any:
        import transformers

        names = getattr(self.config, "architectures", None) or ()
        for name in names:
            if hasattr(transformers, name):
                return getattr(transformers, name)
        raise self._error(
            "its config.json names no class of transformers (architectures); save it with "
            "save_pretrained of such a class"
        )

    def _error(self, reason: str) -> pytest.UsageError:
        return pytest.UsageError(f"--energy-model {self._source}: {reason}")
