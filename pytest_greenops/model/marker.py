"""The marker `energy_budget`: its signature, which its checks and its help derive from."""

from __future__ import annotations

import inspect
from typing import Literal

from pytest_greenops.model.errors import UnitError

Action = Literal["fail", "warn"]
ACTIONS: tuple[Action, ...] = ("fail", "warn")
#: More rounds than this are a typing error: the shortest round takes a tenth of a second.
MOST_ROUNDS = 1_000_000


def parse_action(value: object) -> Action:
    """Return the action that a marker or an option names; raises `UnitError`."""
    for action in ACTIONS:
        if isinstance(value, str) and value == action:
            return action
    raise UnitError(value, "expected 'fail' or 'warn'")


def energy_budget(
    energy: str | None = None,
    *,
    per: str | None = None,
    max_increase: str | None = None,
    max_quality_drop: str | None = None,
    domain: str = "total",
    action: Action | None = None,
    max_power: str | None = None,
    max_carbon: str | None = None,
    min_rounds: int | None = None,
    max_rounds: int | None = None,
    max_time: str | None = None,
    max_work: str | None = None,
    max_flop: str | None = None,
    max_memory: str | None = None,
) -> None:
    """Define the arguments of the marker; this is never called.

    energy            most energy of one call, in J, mJ, kJ, Wh, mWh or kWh: `"2.5 J"`
    per               unit of work, from `energy.units`, that is limited and compared: `"token"`
    max_increase      margin over the baseline: `"3%"`
    max_quality_drop  most drop of any quality, as a share of the baseline: `"1%"`
    domain            what is judged: `total` (default), `cpu`, `dram`, `gpu`, or a device such as
                      `gpu:0` or `psys`
    action            what a regression or an exceeded budget does: `fail` or `warn`
    max_power         most mean power, in W, mW or kW; not judged on an estimate, whose power
                      restates CPU use: `"350 W"`
    max_carbon        most CO2e of one call, in g, mg or kg; needs an intensity or a region: `"2 g"`
    min_rounds        rounds of the measurement, at least: `5`
    max_rounds        rounds of the measurement, at most: `25`
    max_time          time of the measurement, at most, in s, ms, min or h: `"2 min"`
    max_work          margin over the accepted counted work, 0.5 % by default: `"2%"`
    max_flop          most FLOPs of one call, in FLOP, kFLOP, ..., TFLOP: `"2.2 GFLOP"`
    max_memory        most memory that tensors made in one call take at once, in B, kB, KiB, ...,
                      TiB: `"1.5 GB"`
    """


def keywords() -> list[str]:
    """Return the names of its arguments."""
    return list(inspect.signature(energy_budget).parameters)


def marker_help() -> str:
    """Return the line that `pytest --markers` shows."""
    signature = inspect.signature(energy_budget).replace(return_annotation=inspect.Signature.empty)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return (
        f"energy_budget{signature.replace(parameters=bare)}: limits of the energy that a test may "
        "use: an absolute budget such as '2.5 J', and the largest increase over its baseline; how "
        "far its quality may fall below that of the baseline; and the same for counted work."
    )
