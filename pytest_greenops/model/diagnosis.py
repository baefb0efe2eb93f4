"""What `doctor` reports: what can be measured on a machine, what cannot, and why."""

from __future__ import annotations

from typing import Literal

import msgspec

#: `absent`: the machine does not have it, or does not show it; nothing needs a fix.
State = Literal["ok", "warn", "bad", "absent"]


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One checked thing.

    what    what was found, and what follows from it
    remedy  the command or step that fixes it, if there is one
    """

    name: str
    state: State
    what: str
    remedy: str | None = None


class Diagnosis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All findings, and how reliable a measurement is here.

    worth       a paragraph about that reliability
    measurable  whether any energy can be measured, or estimated
    """

    findings: tuple[Observation, ...]
    worth: str
    measurable: bool
