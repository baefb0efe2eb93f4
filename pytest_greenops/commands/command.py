"""The interface of a sub-command, and the arguments that several of them take."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from pytest_greenops.model.errors import GreenopsError

Value = TypeVar("Value")
#: Exit statuses: the answer is no (a regression, nothing found); the command could not do its work.
NEGATIVE, FAILED = 1, 2
#: The default folder of the baselines, as for pytest.
BASELINES = Path("baselines")


class Command(ABC):
    """A sub-command of `pytest-greenops`."""

    name: ClassVar[str]
    help: ClassVar[str]
    #: When its exit status is 1; empty if it never is.
    negative: ClassVar[str] = ""
    #: Whether what follows `--` is kept as it is, in `arguments.rest`.
    passes_on: ClassVar[bool] = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:  # noqa: B027
        """Add the arguments of this sub-command to its parser; by default there are none."""

    @abstractmethod
    def run(self, arguments: argparse.Namespace) -> int:
        """Do what the parsed arguments say, and return the exit status.

        Raises `GreenopsError` or `OSError` for a problem that one line describes.
        """


def parsed_by(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return the type of an argument that `parse` reads; argparse prints its error."""

    def read(text: str) -> Value:
        try:
            return parse(text)
        except GreenopsError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def add_baselines_folder(parser: argparse.ArgumentParser) -> None:
    """Add the optional argument DIR."""
    text = f"the folder of the baselines (default: {BASELINES})"
    parser.add_argument("dir", metavar="DIR", nargs="?", type=Path, default=BASELINES, help=text)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add the option `--machine`."""
    text = "only machines whose folder name contains NAME"
    parser.add_argument("--machine", metavar="NAME", default="", help=text)
