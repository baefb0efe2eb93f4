"""The axes of a study: which values a test runs over, chosen by options."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks.checkpoints import Checkpoint


@dataclass(frozen=True)
class Axis:
    """One axis of a study.

    name    the argument of the tests that run over it
    values  what the argument may be, by id; one that is a number stands in the ids of tests with
            the name before it: `batch32`
    slice   ids of those that a run without `--bench-full` takes
    loads   the suffix, or suffixes, of the classes whose checkpoints may stand in for the values,
            such as `ForCausalLM`; None where none can
    """

    name: str
    values: Mapping[str, Any]
    slice: Sequence[str]
    loads: str | tuple[str, ...] | None = None

    @property
    def mark(self) -> pytest.MarkDecorator:
        """The mark of a test, or the `pytestmark` of a module, that runs over it."""
        return pytest.mark.axis(self)


class Axes:
    """Which values of the axes this run takes.

    full        all of them, not only the slices
    chosen      `name=id,id`, as the command line has them
    checkpoint  in place of models made here

    Raises `pytest.UsageError` where a choice is not written so.
    """

    def __init__(
        self, full: bool, chosen: Sequence[str], checkpoint: Checkpoint | None = None
    ) -> None:
        self._full = full
        self._chosen: dict[str, list[str]] = defaultdict(list)
        self._known: dict[str, dict[str, None]] = defaultdict(dict)
        self._checkpoint = checkpoint
        for choice in chosen:
            name, _, ids = choice.partition("=")
            if not name or not ids:
                raise pytest.UsageError(f"--bench-axis {choice}: write NAME=ID,ID")
            self._chosen[name] += ids.split(",")

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Run a test over the values of its axes; the first mark varies slowest."""
        for axis in _axes_of(metafunc.definition):
            self._known[axis.name] |= dict.fromkeys(axis.values)
            values = self._values(axis)
            ids = [axis.name + name if name.isdigit() else name for name in values]
            metafunc.parametrize(axis.name, list(values.values()), ids=ids)

    def refuse_unknown(self) -> None:
        """Raise `pytest.UsageError` for what was chosen of no axis of any test."""
        for name, ids in self._chosen.items():
            if name not in self._known:
                known = ", ".join(sorted(self._known)) or "none"
                raise pytest.UsageError(f"--bench-axis {name}: no such axis; there are: {known}")
            for unknown in [each for each in ids if each not in self._known[name]]:
                known = ", ".join(self._known[name])
                raise pytest.UsageError(f"--bench-axis {name}={unknown}: is none of {known}")

    def without_checkpoint(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Take out, and return, the tests that cannot run the checkpoint, if there is one."""
        if self._checkpoint is None:
            return []
        dropped = [item for item in items if not any(map(self._loads, _axes_of(item)))]
        items[:] = [item for item in items if item not in dropped]
        return dropped

    def ids_of(self, item: pytest.Item) -> dict[str, str]:
        """Where on its axes a test stands."""
        callspec = getattr(item, "callspec", None)
        values = {} if callspec is None else callspec.params
        return {
            axis.name: name
            for axis in _axes_of(item)
            for name, value in self._values(axis).items()
            if axis.name in values and value is values[axis.name]
        }

    def _values(self, axis: Axis) -> Mapping[str, Any]:
        if self._checkpoint and self._loads(axis):
            return {self._checkpoint.id: self._checkpoint}
        wanted = self._chosen.get(axis.name)
        if wanted is None:
            wanted = list(axis.values) if self._full else list(axis.slice)
        return {name: value for name, value in axis.values.items() if name in wanted}

    def _loads(self, axis: Axis) -> bool:
        checkpoint = self._checkpoint
        return bool(checkpoint and axis.loads and checkpoint.is_a(axis.loads))


def _axes_of(node: pytest.Item | Any) -> list[Axis]:
    return [mark.args[0] for mark in node.iter_markers("axis")]
