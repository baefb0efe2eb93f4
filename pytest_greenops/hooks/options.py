"""The options of pytest: command-line flags first, then their ini twins."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_greenops.hooks import option_values as values
from pytest_greenops.hooks.option_table import OPTIONS
from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.marker import parse_action
from pytest_greenops.model.run_options import (
    ONLY_VARIABLE,
    TREE_VARIABLE,
    Options,
    Saving,
)

if TYPE_CHECKING:
    from pytest_greenops.model.carbon_factor import CarbonFactor
    from pytest_greenops.model.history_url import HistoryUrl

#: An A/B comparison excludes them.
_WITHOUT_AB = ("energy-save", "energy-save-new", "energy-sessions")
_SAVINGS: dict[str, Saving] = {"energy-save": "all", "energy-save-new": "new"}


def add_options(parser: pytest.Parser) -> None:
    """Register every flag, unset by default, and its ini twin."""
    group = parser.getgroup("energy", "energy regression testing (pytest-greenops)")
    for option in OPTIONS:
        parser.addini(option.ini, option.help.replace("%%", "%"), type=option.type, default=None)  # type: ignore[arg-type]
        if not option.flag:
            continue
        settings: dict[str, Any] = {"dest": option.ini, "default": None, "help": option.help}
        if option.type == "bool":
            settings["action"] = "store_true"
        elif option.type == "linelist":
            settings |= {"metavar": option.metavar, "action": "append"}
        else:
            settings |= {"metavar": option.metavar, "type": str}
        group.addoption(f"--{option.name}", **settings)


def read_options(config: pytest.Config) -> Options:
    """Return the options of this run; raises `OptionError` that names the invalid option."""
    read, default = values.OptionReader(config), Options()
    saving = read.either("energy-save", "energy-save-new")
    selection = read.either("energy-only", "energy-skip")
    count_only = read.flag("energy-count-only")
    measure = read.flag("energy") or saving is not None or count_only
    folder = config.invocation_params.dir
    json, html, markdown = (
        read.value(f"energy-{kind}", values.path_of) for kind in ("json", "html", "markdown")
    )
    least = read.value("energy-min-rounds", values.count_of)
    most = read.value("energy-max-rounds", values.count_of)
    if least and most and least > most:
        raise OptionError(
            f"--energy-min-rounds {least} is more than --energy-max-rounds {most}: change one"
        )
    sessions = read.value("energy-sessions", values.count_of, default.sessions)
    fresh_process = read.flag("energy-fresh-process", default.fresh_process)
    if sessions > 1 and not fresh_process:
        raise OptionError(
            f"--energy-sessions {sessions} needs fresh processes, but energy_fresh_process is off: "
            "change one"
        )
    options = Options(
        measure=measure,
        save=_SAVINGS[saving] if saving else None,
        baselines=read.value("energy-baselines", values.path_of, default.baselines),
        max_increase=read.value(
            "energy-max-increase", values.quantity_of("percent"), default.max_increase
        ),
        action=read.value("energy-action", parse_action, default.action),
        estimates=read.value("energy-estimates", parse_action, default.estimates),
        strict=read.flag("energy-strict"),
        only=selection == "energy-only",
        skip=selection == "energy-skip",
        sensors=read.value("energy-sensors", values.names_of, default.sensors),
        min_rounds=least or default.min_rounds,
        max_rounds=most or max(default.max_rounds, least or default.max_rounds),
        max_time_s=read.value(
            "energy-max-time", values.quantity_of("duration"), default.max_time_s
        ),
        json=folder / json if json else None,
        html=folder / html if html else None,
        markdown=folder / markdown if markdown else None,
        exports=read.value("energy-export", partial(values.exports_of, folder), default.exports),
        github=read.value("energy-github", values.on_github, values.on_github("auto")),
        carbon=_carbon(read),
        cpu_watts=read.value("energy-cpu-watts", values.quantity_of("power")),
        session_sd=read.value(
            "energy-session-sd", values.quantity_of("percent"), default.session_sd
        ),
        rank_wait_s=read.value(
            "energy-rank-wait", values.quantity_of("duration"), default.rank_wait_s
        ),
        sessions=sessions,
        fresh_process=fresh_process,
        stable_memory=read.value(
            "energy-stable-memory", values.stable_memory_of, default.stable_memory
        ),
        ab=_ref_of(config, read),
        ab_tests=read.value("energy-ab-tests", values.tests_of, default.ab_tests),
        ab_setup=read.value("energy-ab-setup", str),
        counting="on"
        if count_only
        else read.value("energy-count", values.count_when_of, default.counting),
        count_only=count_only,
        explain=read.flag("energy-explain"),
        benchmarks=read.flag("energy-benchmarks"),
        benchmark_units=read.value("energy-benchmark-units", values.benchmark_units_of, ()),
        history=_history(config, read),
        project=read.value("energy-project", str),
        called_in=str(config.invocation_params.dir),
    )
    if not {ONLY_VARIABLE, TREE_VARIABLE}.isdisjoint(os.environ):  # a run of a bisect
        options = options.without_reports()
    if not measure:
        _refuse_without_measuring(config)
    _check_ab(options, read)
    _check_count_only(options)
    return options


def _ref_of(config: pytest.Config, read: values.OptionReader) -> str | None:
    """Return the ref of an A/B comparison, if this run can have one.

    The ref of an ini file or `addopts` is for the runs that compare: it yields to an option on the
    command line that excludes it.
    """
    ref: str | None = read.value("energy-ab", values.ref_of)
    if ref is not None and any(map(read.given, _WITHOUT_AB)):
        from pytest_greenops.hooks.caller import given

        asked = given(config)
        if "energy_ab" not in asked and any(
            name.replace("-", "_") in asked for name in _WITHOUT_AB
        ):
            return None
    return ref


def _check_ab(options: Options, read: values.OptionReader) -> None:
    """Raise `OptionError` for options that contradict an A/B comparison."""
    if options.ab is None:
        for name in ("energy-ab-tests", "energy-ab-setup"):
            if read.given(name):
                raise OptionError(f"--{name} has no effect without --energy-ab REF")
    elif options.save is not None:
        raise OptionError("--energy-ab compares, --energy-save accepts: use one of them")
    elif options.sessions > 1:
        raise OptionError("--energy-ab and --energy-sessions exclude each other: use one")


def _check_count_only(options: Options) -> None:
    """Raise `OptionError` for options that need joules, in a run that measures none."""
    if not options.count_only:
        return
    if options.sessions > 1:
        raise OptionError(
            "--energy-count-only measures no joules, which --energy-sessions needs: use one"
        )


#: Options that say which tests are energy tests, with and without `--energy`.
_SELECT = ("energy_only", "energy_skip", "energy_benchmarks")


def _refuse_without_measuring(config: pytest.Config) -> None:
    """Raise `OptionError` for an option on the command line that needs a measurement.

    An ini twin, also in `addopts`, is for the runs that measure.
    """
    ours = {option.ini: option for option in OPTIONS if option.ini not in _SELECT}
    if all(config.getoption(name, None) is None for name in ours):
        return
    from pytest_greenops.hooks.caller import caller_of, given

    for name in sorted(ours.keys() & given(config)):
        command = caller_of(config).adding("--energy")
        raise OptionError(f"--{ours[name].name} has no effect without --energy: {command}")


def _carbon(read: values.OptionReader) -> CarbonFactor | None:
    """Return what converts joules to grams; the table of regions is loaded only if needed."""
    pue = read.value("energy-pue", values.pue_of, 1.0)
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


def _history(config: pytest.Config, read: values.OptionReader) -> HistoryUrl | None:
    """Return where runs are remembered; the file of an ini value is below the root directory.

    An empty value remembers none.
    """
    on_command_line = read.given("energy-history")
    folder = config.invocation_params.dir if on_command_line else config.rootpath

    def parse(text: str) -> HistoryUrl | None:
        if not text:
            return None
        from pytest_greenops.model.history_url import HistoryUrl

        return HistoryUrl(text, folder)

    url: HistoryUrl | None = read.value("energy-history", parse)
    return url
