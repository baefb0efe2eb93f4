"""`pytest-greenops schema`: the JSON Schema of what the plugin writes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pytest_greenops.baselines.work_file import WorkFile
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import PROGRAM, print_lines
from pytest_greenops.model import baseline, result, trend
from pytest_greenops.model.work_baseline import WORK_SCHEMA

_DOCUMENTS: dict[str, tuple[type, int]] = {
    "results": (result.Results, result.SCHEMA),
    "fleet": (result.FleetResults, result.SCHEMA),
    "baseline": (baseline.Baseline, baseline.SCHEMA),
    "work": (WorkFile, WORK_SCHEMA),
    "trends": (trend.Trends, trend.TREND_SCHEMA),
}


class Schema(Command):
    """The sub-command `schema`."""

    name = "schema"
    help = "print the JSON Schema of results, a fleet's results, baselines, accepted work or trends"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the name of the document."""
        kinds = tuple(_DOCUMENTS)
        text = (
            "results, as --energy-json writes them (default), a file of baselines or work, or the "
            "trends of history --json"
        )
        parser.add_argument("document", nargs="?", choices=kinds, default="results", help=text)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the schema."""
        print_lines([json.dumps(_schema(arguments.document), indent=2)])
        return 0


def _schema(document: str) -> dict[str, Any]:
    """Return the JSON Schema, draft 2020-12, of the current version of a document."""
    import msgspec

    kind, version = _DOCUMENTS[document]
    made = msgspec.json.schema(kind)
    made["$defs"][kind.__name__]["properties"]["schema"] = {"const": version}
    if document in ("results", "fleet"):
        made["$defs"]["TestKey"]["properties"]["node_id"] = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{PROGRAM}:{document}:{version}",
        "title": f"{PROGRAM} {document}",
        **made,
    }
