"""Figures from files of other tools, beside ours."""

from __future__ import annotations

import msgspec

#: The name of our own format, for sources of results and of baselines.
OURS = "pytest-greenops"


class Recording(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a source says about one test, or about one run of a program.

    name         the test id, or the name of a test or project, as the source has it
    measurement  of ours, its name, unless that is `call`
    at           when it was measured, ISO 8601; empty if unknown
    runs         how many runs the figures are of; of ours, rounds
    min_s        the shortest of these runs, in seconds
    median_s     their median, or the time of the only run
    joules       the median of their energy; of ours, the energy of a call
    kwh          the same, where the source has it in kWh
    estimated    of ours, whether the joules are an estimate
    """

    name: str
    measurement: str = ""
    at: str = ""
    runs: int | None = None
    min_s: float | None = None
    median_s: float | None = None
    joules: float | None = None
    kwh: float | None = None
    estimated: bool = False


class Source(msgspec.Struct, frozen=True):
    """A file or folder with recordings.

    format    the tool that wrote it
    left_out  a line for each value that is no time or energy
    """

    path: str
    format: str
    recordings: tuple[Recording, ...]
    left_out: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether this plugin wrote it."""
        return self.format == OURS
