"""`pytest-greenops whatif work`: counts a model that nobody can run here."""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from pytest_greenops.commands import factory
from pytest_greenops.commands.command import parsed_by
from pytest_greenops.commands.question import Question
from pytest_greenops.insight.what_if.roofline import DEVICES, bound, data_sheet
from pytest_greenops.model.device_bound import Phase, Units
from pytest_greenops.model.errors import InsightError, shown
from pytest_greenops.report import what_if_work_text
from pytest_greenops.work.fake_model import count_phases

DTYPES = ("bfloat16", "float16", "float32", "float64")


class Work(Question):
    """The counted work of a model on fake tensors, and what a device takes at least for it."""

    name = "work"
    help = "FLOPs and bytes of a model that is too large to run, and bounds from data sheets"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the factory, and how to count and to show."""
        parser.epilog = (
            "FACTORY is called without arguments in torch's FakeTensorMode: what it makes has no "
            "weights. It returns a function without arguments that does one call, e.g. lambda: "
            'model(inputs), or a dict of several: {"prefill": f, "decode": g}. Each is called once.'
        )
        text = "e.g. models.py:llama_70b or mypackage.models:llama_70b"
        parser.add_argument("factory", metavar="MODULE:FACTORY", help=text)
        text = "of tensors that FACTORY makes (default: torch's)"
        parser.add_argument("--dtype", choices=DTYPES, help=text)
        text = f"also print the bounds of its data sheet: {', '.join(DEVICES)}"
        parser.add_argument("--device", metavar="D", type=parsed_by(data_sheet), help=text)
        text = "work of a call, e.g. token=2048; prefill:token=2048 for one of several functions"
        form, units = "[PHASE:]UNIT=N", parsed_by(_units)
        parser.add_argument(
            "--units", metavar=form, type=units, action="append", default=[], help=text
        )

    def answer(self, arguments: argparse.Namespace, width: int) -> Iterator[str]:
        """Count, and print each phase."""
        torch = _torch()
        made_by, device = factory.load(arguments.factory), arguments.device
        try:
            phases = count_phases(torch, made_by.make, arguments.dtype, made_by.place)
        except InsightError as error:
            raise InsightError(f"{made_by.name}: {error}") from None
        units = _by_phase(phases, arguments.units)
        bounds = [bound(phase, device) for phase in phases] if device else []
        dtype = arguments.dtype or str(torch.get_default_dtype()).removeprefix("torch.")
        yield from what_if_work_text.heading_lines(made_by.name, dtype, width)
        for phase, limit in zip_longest(phases, bounds):
            yield from what_if_work_text.phase_lines(phase, units.get(phase.name), limit, width)
        if device:
            yield from what_if_work_text.data_sheet_lines(device, phases, bounds, width)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise InsightError(
            f"whatif work needs torch, which cannot be imported ({error}): python -m pip install "
            "torch"
        ) from None


def _units(text: str) -> tuple[str | None, Units]:
    """Parse `token=2048` or `prefill:token=2048`."""
    named, _, number = text.rpartition("=")
    phase, _, unit = named.rpartition(":")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not unit or not 0 < value < math.inf:
        raise InsightError(f"{shown(text)}: expected UNIT=N with N > 0, e.g. token=2048")
    return phase or None, Units(unit, value)


def _by_phase(
    phases: Sequence[Phase], given: Sequence[tuple[str | None, Units]]
) -> Mapping[str, Units]:
    """Return the units of each phase; those for one phase override those for all."""
    names = [phase.name for phase in phases]
    for phase, units in given:
        if phase is not None and phase not in names:
            raise InsightError(
                f"--units {phase}:{units.unit}={units.number:g}: expected one of "
                f"{', '.join(names)} before the colon"
            )
    of_all = {name: units for phase, units in given if phase is None for name in names}
    return {**of_all, **{phase: units for phase, units in given if phase is not None}}
