"""A real checkpoint, loaded by transformers from a name or a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch


class Checkpoint:
    """Builds the model of a checkpoint, in place of one that a benchmark makes.

    id      last part of the name or path
    config  configuration of transformers

    Raises `pytest.UsageError` for a checkpoint that does not exist or cannot be read.
    """

    def __init__(self, name_or_path: str) -> None:
        self._source = name_or_path
        self.id = Path(name_or_path).name
        self.config: Any = self._read()
        self._class = self._known_class()

    @classmethod
    def read(cls, name_or_path: str | None) -> Checkpoint | None:
        """Return the checkpoint of that name, or None without a name."""
        return cls(name_or_path) if name_or_path else None

    def __call__(self, device: torch.device, **settings: Any) -> Any:
        """Return the model on the device; `settings` go to `from_pretrained`, e.g. `dtype`."""
        return self._class.from_pretrained(self._source, **settings).to(device)

    def is_a(self, suffix: str | tuple[str, ...]) -> bool:
        """Return whether its class name ends with a suffix, for example `ForCausalLM`."""
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
                reason = "no such folder"
            raise self._error(reason) from None

    def _known_class(self) -> Any:
        import transformers

        names = getattr(self.config, "architectures", None) or ()
        for name in names:
            if hasattr(transformers, name):
                return getattr(transformers, name)
        raise self._error(
            'its config.json names no class of transformers in "architectures": save it with '
            "save_pretrained of such a class"
        )

    def _error(self, reason: str) -> pytest.UsageError:
        return pytest.UsageError(f"--energy-model {self._source}: {reason}")
