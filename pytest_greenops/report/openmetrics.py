"""Results as OpenMetrics text, https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_greenops.model.result import Results
from pytest_greenops.model.units import significant
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.measures import measures, names

FIRST_LINE = "# TYPE greenops_run info"
#: For each figure, the unit at the end of its name, and what it is.
_HELP = {
    "energy_joules": ("joules", "Energy of one call, over the domain that is judged."),
    "energy_per_unit_joules": ("joules", "Energy of one unit of work."),
    "energy_domain_joules": ("joules", "Energy of one call by energy counter."),
    "power_watts": ("watts", "Mean power."),
    "duration_seconds": ("seconds", "Time of one call."),
    "carbon_grams": ("grams", "CO2e of one call."),
    "energy_change_ratio": ("ratio", "Change of the energy over what it is compared with."),
    "work_change_ratio": ("ratio", "Change of the counted work over what it is compared with."),
    "work_flop": ("flop", "Floating-point operations of one call, counted."),
    "work_moved_bytes": ("bytes", "Bytes that one call reads and writes, counted."),
    "work_peak_bytes": ("bytes", "Most memory that tensors made in one call take at once."),
    "work_calls": ("calls", "Calls of operators in one call, counted."),
}
_LABEL_OF = {"energy_per_unit_joules": "unit", "energy_domain_joules": "domain"}


class _Sample(NamedTuple):
    """A value of a metric, and what tells it from others."""

    labels: Mapping[str, str]
    value: float


def openmetrics(document: Results) -> str:
    """Return results as OpenMetrics text: a gauge for each figure, with `source` where it matters.

    `source` is `sensed` or `estimated`; the ends of an interval are gauges of their own.
    """
    found: dict[str, list[_Sample]] = {}
    verdicts = []
    for name, result in zip(names(document.results), document.results, strict=True):
        test = {"test": name}
        verdicts.append(_Sample({**test, "verdict": result.verdict.outcome.value}, 1))
        for each in measures(result):
            labels = dict(test)
            if each.name in _LABEL_OF:
                labels[_LABEL_OF[each.name]] = each.of
            if not each.name.startswith(("work_", "duration_")):
                labels["source"] = "estimated" if each.estimated else "sensed"
            stem, _, unit = each.name.rpartition("_")
            ends = {"low": each.low, "high": each.high}
            found.setdefault(each.name, []).append(_Sample(labels, each.value))
            for end, value in ends.items():
                if value is not None:
                    found.setdefault(f"{stem}_{end}_{unit}", []).append(_Sample(labels, value))
    lines = [FIRST_LINE, "# HELP greenops_run What was measured, and where."]
    lines.append(_line("greenops_run_info", _Sample(_run(document), 1)))
    if verdicts:
        lines += ["# TYPE greenops_verdict info", "# HELP greenops_verdict Verdict on a test."]
        lines += [_line("greenops_verdict_info", each) for each in verdicts]
    for figure, (unit, help_text) in _HELP.items():
        stem = figure.removesuffix(f"_{unit}")
        for end, prefix in (("", ""), ("low_", "Low end, 95 %: "), ("high_", "High end, 95 %: ")):
            name = f"{stem}_{end}{unit}"
            if samples := found.get(name):
                metric = f"greenops_{name}"
                lines += [f"# TYPE {metric} gauge", f"# UNIT {metric} {unit}"]
                lines.append(f"# HELP {metric} {prefix}{help_text}")
                lines += [_line(metric, each) for each in samples]
    return "\n".join([*lines, "# EOF", ""])


def _run(document: Results) -> dict[str, str]:
    machine, origin = document.environment.machine, document.origin
    known = {
        "version": document.version,
        "created_at": document.created_at,
        "cpu": machine.get("cpu", ""),
        "gpu": machine.get("gpu", ""),
        "commit": (origin and origin.commit) or "",
    }
    return {name: value for name, value in known.items() if value}


def _line(metric: str, sample: _Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
    return f"{metric}{{{labels}}} {significant(sample.value)}"


def _escaped(value: str) -> str:
    return visible(value).replace("\\", "\\\\").replace('"', '\\"')
