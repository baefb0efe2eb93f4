"""A measurement on the page: its id, its texts, and whether it fails its test."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.model.advised import PLAIN
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.result import Result
from pytest_greenops.report.entry import NONE, Entry, Text, anchor_of, entries
from tests.unit.builders import key
from tests.unit.report.samples import (
    POLICY,
    by_pairs,
    change,
    inconclusive,
    over_budget,
    regressed,
    result,
    unmeasured,
)

HOSTILE = (
    "<b>",
    "</script>",
    "a\x1b[31m\x07b",
    "**x** | `y`",
    "::error::",
    "x" * 10_000,
    "caf\udce9",
)


def entry(of: Result, **policy: Any) -> Entry:
    """Return the entry of a result, in a run with this policy."""
    [made] = entries([of], replace(POLICY, **policy), PLAIN)
    return made


@pytest.mark.parametrize("param", HOSTILE)
def test_ids_are_safe(param: str) -> None:
    """Whatever a test is called, its id is short, and needs no escape in HTML or a URL."""
    found = anchor_of(result(test=key(param=param)))
    assert re.fullmatch(r"t-[a-z0-9-]{1,40}-[0-9a-f]{10}", found)


def test_ids_are_stable() -> None:
    """A link to a test is the same in each report, whatever was measured."""
    assert anchor_of(regressed()) == anchor_of(inconclusive()) == "t-test-parse-c3aa6ed46e"


def test_ids_differ() -> None:
    """Tests, parameters and names of measurements have ids of their own, also twice in a file."""
    several = [
        *(result(test=key(param=p)) for p in ("a b", "a-b")),
        *(result(name=n) for n in ("x", "y", "y")),
    ]
    found = [each.anchor for each in entries(several, POLICY, PLAIN)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("param", HOSTILE)
def test_texts_are_visible_and_cut(param: str) -> None:
    """No text has a control character or thousands of characters; the full name is kept."""
    made = entry(regressed(test=key(param=param), name=param))
    shown = [made.node.shown, made.name.shown, made.reason, *(text for _, text in made.facts)]
    shown += [step.command.shown for step in made.steps]
    assert all(text.isprintable() and len(text) <= 900 for text in shown)
    assert made.node.full.isprintable()
    assert len(made.node.full) >= len(param)


def test_cut_text_keeps_both_ends() -> None:
    """A long text loses its middle."""
    text = Text.of("begin" + "x" * 200 + "end", 20)
    assert (text.shown, text.cut) == ("beginxxxxx…xxxxxxend", True)
    assert not Text.of("short").cut


def test_red_says_what_how_sure_and_what_next() -> None:
    """A regression has its sentence without the command, its evidence and labelled commands."""
    made = entry(regressed())
    assert made.reason == (
        "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, limit +5 %)"
    )
    assert ("how sure", "5 baseline sessions") in made.facts
    assert [step.label for step in made.steps] == ["find the cause", "try again", "accept it"]
    assert made.steps[-1].command.shown == "pytest --energy-save tests/test_x.py::test_parse"


@pytest.mark.parametrize(
    ("of", "policy", "fails"),
    [
        (regressed(), {}, True),
        (regressed(action="warn"), {}, False),
        (regressed(), {"saving": "all"}, False),
        (over_budget(), {"saving": "all"}, True),
        (regressed(saved=True), {"saving": "all"}, False),
        (inconclusive(), {}, False),
        (inconclusive(), {"strict": True}, True),
        (result(change=change(0.01, -0.01, 0.02)), {"strict": True}, False),
    ],
)
def test_fails_as_in_the_run(of: Result, policy: dict[str, Any], fails: bool) -> None:
    """What failed its test in the run is a failure of the report."""
    assert entry(of, **policy).failing is fails


def test_figures_say_what_they_are() -> None:
    """Estimates, A/B comparisons and young baselines are marked beside the verdict."""
    assert entry(regressed(estimated=True)).tags == ("estimated ±50 %",)
    assert entry(by_pairs()).tags == ("A/B",)
    young = result(change=change(0.01, -0.1, 0.1, sessions=1, provisional=True))
    assert entry(young).word == "passed (provisional)"
    assert entry(regressed(action="warn")).word == "regressed (warned)"


def test_what_is_not_known_is_a_dash() -> None:
    """A cell without a value is the dash of documents, not the hyphen of the terminal."""
    made = entry(unmeasured("no sensor"))
    assert (made.energy[0], made.change[0]) == (NONE, NONE) == ("–", "–")


def test_rounds_are_drawn_and_told() -> None:
    """The small drawing has at most forty points, and its span in words."""
    made = entry(result(rounds=90))
    assert made.rounds is not None
    assert made.rounds.words == "90 rounds, 1.96…2.06 J"
    assert len(made.rounds.points.split()) <= 40
    assert entry(unmeasured("no sensor")).rounds is None


def test_sorts_by_gravity() -> None:
    """The keys order verdicts by gravity; a figure that is not known is null."""
    order = [Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.NO_BASELINE, Outcome.PASSED]
    places = [entry(result(outcome)).keys[0] for outcome in order]
    assert places == sorted(places, key=lambda place: float(place or 0))
    assert entry(unmeasured("no sensor")).keys[2:] == (None, None, None)
