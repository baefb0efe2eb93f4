"""Findings for GitLab, https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""

from __future__ import annotations

import hashlib

import msgspec

from pytest_greenops.model.advised import PLAIN
from pytest_greenops.model.place import Places, place_of
from pytest_greenops.model.result import Results
from pytest_greenops.report.entry import entries


class Lines(msgspec.Struct):
    """The first line of a finding."""

    begin: int


class Location(msgspec.Struct):
    """The place of a finding, from the root of the repository."""

    path: str
    lines: Lines


class Finding(msgspec.Struct):
    """A test that fails by its energy or work, or would; reruns have the same fingerprint."""

    description: str
    check_name: str
    fingerprint: str
    severity: str
    location: Location


def findings(document: Results, places: Places) -> list[Finding]:
    """Return a finding for each failure (`major`) and each warning (`minor`)."""
    found = []
    for result, entry in zip(
        document.results, entries(document.results, document.policy, PLAIN), strict=True
    ):
        if entry.failing or entry.red:
            what = "work increased" if result.verdict.more_work else entry.outcome
            check = f"energy-{what.replace(' ', '-')}"
            known = "\0".join((result.test.node_id, result.name, check))
            fingerprint = hashlib.sha256(known.encode("utf-8", "replace")).hexdigest()[:32]
            place = place_of(result.test, places)
            found.append(
                Finding(
                    description=f"{entry.name.shown}: {entry.reason}",
                    check_name=check,
                    fingerprint=fingerprint,
                    severity="major" if entry.failing else "minor",
                    location=Location(place.file, Lines(place.line)),
                )
            )
    return found
