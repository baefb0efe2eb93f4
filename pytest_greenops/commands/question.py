"""The interface of a question of `pytest-greenops whatif`."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar


class Question(ABC):
    """A question, and how to answer it."""

    name: ClassVar[str]
    help: ClassVar[str]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:  # noqa: B027
        """Add the arguments of this question; by default there are none."""

    @abstractmethod
    def answer(self, arguments: argparse.Namespace, width: int) -> Iterable[str]:
        """Return the lines of the answer, for a screen of `width` columns."""
