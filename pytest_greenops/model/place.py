"""Where the function of a test is, in the repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_greenops.model.baseline import TestKey


class Place(NamedTuple):
    """A file by its path from the root of the repository, with forward slashes, and a line."""

    file: str
    line: int = 1


#: The places of the tests that ran.
Places = Mapping[TestKey, Place]


def place_of(test: TestKey, places: Places) -> Place:
    """Return where a test is; of one that is not known there, the first line of its module."""
    return places.get(test) or Place(test.module)
