"""The Markdown of a run: what comes first, what fits, and that no name acts in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import CauseKind, Outcome, Verdict
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.markdown import COMMENT_BYTES, MARK, code, escaped, to_markdown
from tests.unit import works
from tests.unit.builders import key
from tests.unit.report.samples import (
    POLICY,
    by_pairs,
    change,
    inconclusive,
    regressed,
    result,
    run,
    suite,
    unmeasured,
)

HOSTILE = (
    *("<img src=x onerror=alert(1)>", "</details><script>alert(1)</script>", "<!-- <script>"),
    *(
        "**x** | `y` ``z",
        "a|b",
        "a\\|b",
        "[x](http://e.com)",
        "![x](y)",
        "http://e.com",
        "www.e.com",
    ),
    *("@torvalds", "#1", "GH-1", "a\n\n# b", "```\n::error::x", "::error::x", "\x1b[31m\x00\u202e"),
    *("&lt;b&gt;", "$x$", "x" * 10_000, "|" * 10_000, "`" * 10_000, "\ud800", " ", "_a_ *b* ~~c~~"),
)


def rendered(text: str) -> str:
    """Return HTML, as a renderer of GitHub's Markdown makes it."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)


def test_says_first_what_a_reviewer_must_know() -> None:
    """Verdicts are counted first; each failure has its reason, its evidence and its commands."""
    text = to_markdown(run(suite()))
    head, failure = text.split("\n### ")[:2]
    assert head.splitlines()[:2] == [MARK, "## ❌ 2 of 12 tests failed the energy check"]
    assert "**2** regressed · **1** over budget · **1** inconclusive" in head
    assert failure == (
        "❌ `test_parse` regressed\n"
        "\n"
        "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, limit +5 %)\n"
        "\n"
        "* **why**: what was measured does not show it\n"
        "* **how sure**: 5 baseline sessions\n"
        "\n"
        "```sh\n"
        "# find the cause\n"
        "pytest --energy --energy-explain tests/test_x.py::test_parse\n"
        "# try again\n"
        "pytest --energy tests/test_x.py::test_parse\n"
        "# accept it\n"
        "pytest --energy-save tests/test_x.py::test_parse\n"
        "```\n"
    )


def test_others_are_in_a_table_that_opens() -> None:
    """All other measurements have a row; those without a verdict have their reason."""
    html = rendered(to_markdown(run(suite())))
    table = html.partition("<summary>9 other measurements</summary>")[2].partition("</details>")[0]
    assert table.count("<tr>") == 10
    assert "gpu did not move in a round: its window is too short" in table
    assert "+3.1 %" in table.replace("\u00a0", " ")


def test_cells_without_a_value_are_dashes() -> None:
    """What was not measured has no energy, change or limit."""
    [row] = [
        each for each in to_markdown(run([unmeasured("no sensor")])).splitlines() if "`" in each
    ]
    assert row.endswith("| – | – | – |")


def test_a_reason_is_said_once() -> None:
    """Of rows with the same reason, the first has it."""
    several = [result(Outcome.NO_BASELINE, test=key(f"test_{number}")) for number in range(9)]
    text = to_markdown(run([*several, unmeasured("no sensor", key("test_x"))]))
    assert text.count("no baseline on this machine; save one") == 1
    assert text.count("no sensor") == 1


def test_warning_is_no_failure() -> None:
    """A run that only warns says so; an estimate is marked."""
    text = to_markdown(run([regressed(action="warn", estimated=True)]))
    assert "## ⚠️ 1 of 1 test would fail the energy check, and only warned" in text
    assert "### ⚠️ `test_parse` regressed (warned) · estimated ±50 %" in text
    assert "Estimated figures (`~`) are computed, not sensed: ±50 %" in text


def test_counted_work_has_no_joules() -> None:
    """Counted work is a change and its cause, in no unit of energy."""
    verdict = Verdict(
        Outcome.REGRESSED,
        of_joules=Outcome.NOT_MEASURED,
        work=works.verdict(),
        cause_kind=CauseKind.COUNTED_ONLY,
    )
    counted = replace(unmeasured("counts only"), work=works.record(), verdict=verdict)
    text = to_markdown(
        run(
            [
                counted,
                replace(
                    counted,
                    test=key("test_b"),
                    verdict=Verdict(
                        Outcome.PASSED,
                        of_joules=None,
                        work=works.verdict(works.WorkOutcome.SAME),
                        cause_kind=CauseKind.COUNTED_ONLY,
                    ),
                ),
            ]
        )
    )
    assert "failed the check of counted work" in text
    assert "does +24 % work (limit +0.5 %): aten.mm float32 28 -\\> 29 calls" in text
    assert "| verdict | test | work | change | limit |" in text
    assert not re.search(r"\d [mkµ]?[JWg]\b", text)


def test_comparison_names_its_ref() -> None:
    """An A/B comparison says with what."""
    document = replace(run([by_pairs()]), policy=replace(POLICY, ab="3f2a91c (main)"))
    assert "Compared with `3f2a91c (main)`, in turns on the same machine." in to_markdown(document)


def test_nothing_measured() -> None:
    """A run without measurements says so, and has no table."""
    text = to_markdown(run([]))
    assert "## Nothing was measured: no energy test ran" in text
    assert "<details>" not in text


@pytest.mark.parametrize("kind", [regressed, inconclusive, result])
@pytest.mark.parametrize("name", HOSTILE)
def test_names_do_not_act(name: str, kind: Callable[..., Result]) -> None:
    """No name of a test or of a measurement makes an element, a link, a mention or a new block."""
    usual = rendered(to_markdown(run([kind(test=key(param="p"), name="n"), inconclusive()])))
    of = [kind(test=key(param=name), name=name), inconclusive()]
    html = rendered(to_markdown(run(of)))
    tags = re.compile(r"<(/?\w+)")
    assert sorted(set(tags.findall(html))) == sorted(set(tags.findall(usual)))
    assert html.count("<tr>") == usual.count("<tr>")
    prose = re.sub(r"<(code|pre)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"@\w|#\d|http:/|www\.\w|GH-\d", prose)
    assert len(to_markdown(run(of)).encode()) < 30_000


@pytest.mark.parametrize("name", HOSTILE)
def test_code_keeps_the_name(name: str) -> None:
    """A name is read as it is, in a sentence and in a cell."""
    for text in (f"a {code(name)} b", f"| a |\n|---|\n| {code(name)} |"):
        [shown] = re.findall(r"<code>(.*?)</code>", rendered(text), re.DOTALL)
        entities = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}
        for entity, character in entities.items():
            shown = shown.replace(entity, character)
        assert re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), shown) == visible(name)


def test_sentence_is_readable() -> None:
    """Usual sentences stay as they are."""
    text = "call used 3.10 J/sample (+55 %, 95 % CI +48…+61 %), 7 pairs: -1.0 - test"
    assert escaped(text) == text


@pytest.mark.parametrize(
    "name", ["@torvalds", "#1", "GH-1", "http://e.com", "ftp://e.com", "www.e.com", "a|b & <c>"]
)
def test_an_escaped_sentence_reads_as_it_was(name: str) -> None:
    """What keeps a name from acting cannot be seen: there is no entity or backslash in the text."""
    shown = re.sub(r"<[^>]*>", "", rendered(f"{escaped(name)} {escaped(name)}"))
    assert unescape(shown).replace("\u200b", "") == f"{name} {name}\n"


@pytest.mark.parametrize("name", ["- a", "+ a", "1. a", "12) a", "    a", "-", "> a", "# a"])
def test_a_sentence_begins_no_block(name: str) -> None:
    """A name at the beginning of a sentence makes no list, quotation, heading or code."""
    assert rendered(escaped(f"{name} used 2 J")).startswith("<p>")


@pytest.mark.parametrize("kind", [regressed, result, inconclusive])
def test_is_cut_to_a_comment(kind: Callable[..., Result]) -> None:
    """A large run fits a comment, and says how many measurements are left out."""
    results = [kind(test=key(f"test_{number}", param="ß" * 100)) for number in range(2_000)]
    text = to_markdown(run(results))
    assert len(text.encode()) <= COMMENT_BYTES
    rows, blocks = text.count("\n| ") - 1, text.count("\n### ")
    [omitted] = re.findall(r"([\d,]+) more measurements are left out", text)
    assert rows + blocks + int(omitted.replace(",", "")) == 2_000
    assert rows > 50
    assert rendered(text).count("</details>") == 1


def test_failures_that_are_not_described_are_in_the_table() -> None:
    """Of many failures the first 25 are described; a sentence says where the others are."""
    results = [regressed(test=key(f"test_{number}")) for number in range(60)]
    text = to_markdown(run([*results, result(change=change(0.01, -0.01, 0.02))]))
    assert text.count("\n### ") == 25
    assert "35 more failures are in the table below." in text
    assert "<summary>36 other measurements</summary>" in text
