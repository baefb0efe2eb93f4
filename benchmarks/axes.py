"""Axes of a study: the values that a test runs over, selected by options."""

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

    name    argument of the tests that run over it
    values  values of the argument, by id; test ids prefix numeric ids with the name: `batch32`
    slice   ids that run without `--bench-full`
    loads   suffixes of model classes whose checkpoints can replace the values, for example
            `ForCausalLM`; None if a checkpoint cannot
    """

    name: str
    values: Mapping[str, Any]
    slice: Sequence[str]
    loads: str | tuple[str, ...] | None = None

    @property
    def mark(self) -> pytest.MarkDecorator:
        """Return the mark of a test, or the `pytestmark` of a module, that runs over it."""
        return pytest.mark.axis(self)


class Axes:
    """Selects the values of the axes for a run.

    full        use all values, not only the slices
    chosen      `name=id,id`, from the command line
    checkpoint  replaces the models that are built here

    Raises `pytest.UsageError` for a choice in another form.
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
                raise pytest.UsageError(f"--bench-axis {choice}: expected NAME=ID,ID")
            self._chosen[name] += ids.split(",")

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Run a test over the values of its axes; the first mark varies slowest."""
        for axis in _axes_of(metafunc.definition):
            self._known[axis.name] |= dict.fromkeys(axis.values)
            values = self._values(axis)
            ids = [axis.name + name if name.isdigit() else name for name in values]
            metafunc.parametrize(axis.name, list(values.values()), ids=ids)

    def check_choices(self) -> None:
        """Raise `pytest.UsageError` for a chosen axis or value that no test has."""
        for name, ids in self._chosen.items():
            if name not in self._known:
                known = ", ".join(sorted(self._known)) or "none"
                raise pytest.UsageError(f"--bench-axis {name}: expected one of: {known}")
            for unknown in [each for each in ids if each not in self._known[name]]:
                known = ", ".join(self._known[name])
                raise pytest.UsageError(f"--bench-axis {name}={unknown}: expected one of: {known}")

    def remove_without_checkpoint(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Remove and return the tests that cannot run the checkpoint, if there is one."""
        if self._checkpoint is None:
            return []
        removed = [item for item in items if not any(map(self._loads, _axes_of(item)))]
        items[:] = [item for item in items if item not in removed]
        return removed

    def ids_of(self, item: pytest.Item) -> dict[str, str]:
        """Return the id of a test on each of its axes."""
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
        ids = self._chosen.get(axis.name)
        if ids is None:
            ids = list(axis.values) if self._full else list(axis.slice)
        return {name: value for name, value in axis.values.items() if name in ids}

    def _loads(self, axis: Axis) -> bool:
        checkpoint = self._checkpoint
        return bool(checkpoint and axis.loads and checkpoint.is_a(axis.loads))


def _axes_of(node: pytest.Item | Any) -> list[Axis]:
    return [mark.args[0] for mark in node.iter_markers("axis")]
