"""What can be measured on a machine, what cannot and why, and what a measurement is worth there."""

from __future__ import annotations

from typing import Literal

import msgspec

#: `absent` is what the machine does not have, or does not show: nobody need miss it.
State = Literal["ok", "warn", "bad", "absent"]


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that was looked at.

    what    what was seen, and what follows from it
    remedy  the command or step that mends it, if there is one
    """

    name: str
    state: State
    what: str
    remedy: str | None = None


class Diagnosis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the doctor says: its findings, and in a paragraph what a measurement here is worth.

    measurable  whether any energy can be measured, be it by an estimate
    """

    findings: tuple[Observation, ...]
    worth: str
    measurable: bool
