"""Flags and ini values -> frozen Options. A flag that is not given leaves its ini twin in force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_greenops.model.errors import GreenopsError, OptionError
from pytest_greenops.model.marker import ACTIONS
from pytest_greenops.model.run_options import Options, Saving

if TYPE_CHECKING:
    from pytest_greenops.model.carbon_factor import CarbonFactor


class _Option(NamedTuple):
    """One option: its flag without dashes, what the ini twin holds, its help."""

    name: str
    type: str
    help: str
    metavar: str | None = None
    flag: bool = True

    @property
    def ini(self) -> str:
        return self.name.replace("-", "_")


_OPTIONS = (
    _Option("energy", "bool", "measure, compare with the baselines, judge"),
    _Option("energy-save", "bool", "measure, and accept the results of passed tests as baselines"),
    _Option("energy-save-new", "bool", "the same, only for tests that have no baseline yet"),
    _Option("energy-sessions", "int", "processes in which each test is measured (1)", "N"),
    _Option("energy-baselines", "string", "folder of the baselines (baselines)", "DIR"),
    _Option("energy-max-increase", "string", "margin of a regression (5%%)", "P"),
    _Option("energy-action", "string", "what a regression does: fail or warn (fail)", "ACTION"),
    _Option("energy-estimates", "string", "the same for estimated joules (warn)", "ACTION"),
    _Option("energy-strict", "bool", "fail on what could not be shown to be within its limits"),
    _Option("energy-only", "bool", "run only the energy tests"),
    _Option("energy-skip", "bool", "run none of the energy tests"),
    _Option(
        "energy-sensors",
        "string",
        "auto, or some of powercap,pyrapl,nvml,zeus,estimate (auto)",
        "LIST",
    ),
    _Option("energy-min-rounds", "int", "rounds of a measurement, at least (5)", "N"),
    _Option("energy-max-rounds", "int", "rounds of a measurement, at most (25)", "N"),
    _Option("energy-max-time", "string", "time of a measurement, at most (60 s)", "T"),
    _Option("energy-explain", "bool", "tell where the joules go: by named window, and by layer"),
    _Option("energy-json", "string", "write the results to this file", "PATH"),
    _Option("energy-carbon-intensity", "string", "of the grid, such as '401 g/kWh'", "V"),
    _Option("energy-region", "string", "take the intensity of this region, such as DE", "CODE"),
    _Option("energy-pue", "float", "power usage effectiveness of the data centre (1)", "X"),
    _Option("energy-cpu-watts", "string", "estimate: power of a busy core, '4 W'", flag=False),
    _Option(
        "energy-fresh-process",
        "bool",
        "measure once more in a second process, before a test fails (true)",
        flag=False,
    ),
    _Option("energy-session-sd", "string", "assumed spread between sessions (3%%)", flag=False),
)

_SAVINGS: dict[str, Saving] = {"energy-save": "all", "energy-save-new": "new"}


def add_options(parser: pytest.Parser) -> None:
    """Register every flag, unset by default, and its ini twin."""
    group = parser.getgroup("energy", "energy regression testing (pytest-greenops)")
    for option in _OPTIONS:
        parser.addini(option.ini, option.help.replace("%%", "%"), type=option.type, default=None)  # type: ignore[arg-type]
        if not option.flag:
            continue
        settings: dict[str, Any] = {"dest": option.ini, "default": None, "help": option.help}
        if option.type == "bool":
            settings["action"] = "store_true"
        else:
            settings |= {"metavar": option.metavar, "type": str}
        group.addoption(f"--{option.name}", **settings)


def read_options(config: pytest.Config) -> Options:
    """The options of this run; raises `OptionError` that names the option at fault."""
    read, default = _Reader(config), Options()
    saving = read.either("energy-save", "energy-save-new")
    selection = read.either("energy-only", "energy-skip")
    measure = read.flag("energy") or saving is not None
    json = read.value("energy-json", Path)
    if read.given("energy-json") and not measure:
        raise OptionError("--energy-json writes what is measured; add --energy")
    if read.given("energy-explain") and not measure:
        raise OptionError("--energy-explain explains what is measured; add --energy")
    least = read.value("energy-min-rounds", _number_of("rounds"))
    most = read.value("energy-max-rounds", _number_of("rounds"))
    if least and most and least > most:
        raise OptionError(
            f"--energy-min-rounds {least} is more than --energy-max-rounds {most}; change one"
        )
    sessions = read.value("energy-sessions", _number_of("sessions"), default.sessions)
    fresh_process = read.flag("energy-fresh-process", default.fresh_process)
    if sessions > 1 and not fresh_process:
        raise OptionError(
            f"--energy-sessions {sessions} needs fresh processes, and energy_fresh_process is off; "
            "change one"
        )
    return Options(
        measure=measure,
        save=_SAVINGS[saving] if saving else None,
        baselines=config.rootpath / (read.value("energy-baselines", Path) or default.baselines),
        max_increase=read.value("energy-max-increase", _quantity("percent"), default.max_increase),
        action=read.value("energy-action", _action, default.action),
        estimates=read.value("energy-estimates", _action, default.estimates),
        strict=read.flag("energy-strict"),
        only=selection == "energy-only",
        skip=selection == "energy-skip",
        sensors=read.value("energy-sensors", _names, default.sensors),
        min_rounds=least or default.min_rounds,
        max_rounds=most or max(default.max_rounds, least or default.max_rounds),
        max_time_s=read.value("energy-max-time", _quantity("duration"), default.max_time_s),
        json=config.invocation_params.dir / json if json else None,
        carbon=_carbon(read),
        cpu_watts=read.value("energy-cpu-watts", _quantity("power")),
        session_sd=read.value("energy-session-sd", _quantity("percent"), default.session_sd),
        sessions=sessions,
        fresh_process=fresh_process,
        explain=read.flag("energy-explain"),
    )


class _Reader:
    """Looks an option up: the command line first, then its ini twin."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def flag(self, name: str, default: bool = False) -> bool:
        raw, _ = self._raw(name)
        return default if raw is None else bool(raw)

    def given(self, name: str) -> bool:
        """Whether it stands on the command line."""
        return self._config.getoption(name.replace("-", "_"), None) is not None

    def either(self, *names: str) -> str | None:
        """Which of these is set: one of the command line, else one of their ini twins."""
        found = [name for name in names if self.given(name)]
        found = found or [name for name in names if self.flag(name)]
        if len(found) > 1:
            raise OptionError(f"--{' and --'.join(found)} exclude each other; give one")
        return found[0] if found else None

    def value(self, name: str, parse: Callable[[Any], Any], default: Any = None) -> Any:
        raw, source = self._raw(name)
        if raw is None:
            return default
        try:
            return parse(raw)
        except (GreenopsError, ValueError) as error:
            raise OptionError(f"{source}: {error}") from None

    def _raw(self, name: str) -> tuple[Any, str]:
        ini = name.replace("-", "_")
        given = self._config.getoption(ini, None)
        if given is not None:
            return given, f"--{name}"
        try:
            return self._config.getini(ini), ini
        except (TypeError, ValueError, pytest.UsageError) as error:
            said = str(error)
            raise OptionError(said if ini in said else f"{ini}: {said}") from None


def _quantity(name: str) -> Callable[[str], float]:
    """A parser of `model.units`, which is loaded only where an option needs it."""

    def parse(text: str) -> float:
        from pytest_greenops.model import units

        read: Callable[[str], float] = getattr(units, f"parse_{name}")
        return read(text)

    return parse


def _number_of(things: str) -> Callable[[Any], int]:
    """A parser of how many of them there shall be."""

    def parse(value: Any) -> int:
        number = int(value) if str(value).isdecimal() else 0
        if number < 1:
            raise OptionError(f"{value!r} is no number of {things}; write a whole number from 1 up")
        return number

    return parse


def _action(value: str) -> str:
    if value not in ACTIONS:
        raise OptionError(f"{value!r} is neither 'fail' nor 'warn'")
    return value


def _names(value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names:
        raise OptionError("names no sensor; write auto, or some like powercap,nvml")
    return names


def _carbon(read: _Reader) -> CarbonFactor | None:
    """What makes grams of joules; regions and their table are loaded only where an option asks."""
    pue = read.value("energy-pue", _pue, 1.0)
    grid = read.either("energy-carbon-intensity", "energy-region")
    if grid is None:
        return None

    def factor(text: str) -> CarbonFactor:
        from pytest_greenops.insight.regions import factor_of
        from pytest_greenops.model.carbon_factor import CarbonFactor
        from pytest_greenops.model.units import parse_intensity

        if grid == "energy-region":
            return factor_of(text, pue)
        return CarbonFactor(parse_intensity(text), pue)

    found: CarbonFactor = read.value(grid, factor)
    return found


def _pue(value: str | float) -> float:
    from pytest_greenops.model.carbon_factor import checked_pue

    return checked_pue(value)
