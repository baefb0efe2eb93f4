"""Bars, sparklines and elided names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from pytest_greenops.report.drawing import bar, elide, elided, plain, shows_blocks, sparkline


class TestDrawing:
    """Bars, sparklines, elided and plain text."""

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ((1.0, 2.0, 3.0), "▁▅█"),
            ((1.0, 1.001, 1.0), "▁▁▁"),
            ((2.0, 2.0), "▁▁"),
            ((0.0, 0.0), "▁▁"),
            ((), ""),
        ],
    )
    def test_a_sparkline_does_not_magnify_noise(
        self, values: Sequence[float], expected: str
    ) -> None:
        """The scale covers at least 5 %, so a change of 0.1 % is flat."""
        assert expected == sparkline(values, 10, unicode=True)

    def test_a_sparkline_averages_neighbors(self) -> None:
        """More rounds than columns keep their shape."""
        assert sparkline([1.0] * 50 + [2.0] * 50, 2, unicode=True) == "▁█"

    @pytest.mark.parametrize(
        ("share", "expected"),
        [
            (0.0, "····"),
            (-0.5, "····"),
            (0.5, "██··"),
            (0.53125, "██▏·"),
            (1.0, "████"),
            (1.01, "███▸"),
            (float("inf"), "███▸"),
        ],
    )
    def test_a_bar_ends_in_an_arrow_beyond_its_limit(self, share: float, expected: str) -> None:
        """Exactly the limit is a full bar; more than that has an arrow."""
        assert expected == bar(share, 4, unicode=True)

    @pytest.mark.parametrize("text", ["test_parse[a]", "test_データを読む", "é" * 30])
    @pytest.mark.parametrize("width", range(14))
    def test_an_elided_text_fits(self, text: str, width: int) -> None:
        """Wide characters count as two columns."""
        assert cell_len(elide(text, width)) <= width

    @pytest.mark.parametrize("width", [12, 16, 20, 24, 31, 40])
    @pytest.mark.parametrize("ellipsis", ["…", ".."])
    def test_cut_names_that_differ_still_differ(self, width: int, ellipsis: str) -> None:
        """They are cut where they agree: at their ends, in the middle, or get numbers."""
        names = [
            f"test_inference[{task}-{size}]"
            for task in ("text_classification", "token_classification", "image_classification")
            for size in ("small", "small_and_fast", "large")
        ]
        names += [f"test_{'x' * 40}{n}{'y' * 40}" for n in range(12)]
        names += ["test_データを読む[一つ目のパラメータ]", "test_データを読む[二つ目のパラメータ]"]
        cut = elided(tuple(names), width, ellipsis)
        assert list(cut) == names
        assert len(set(cut.values())) == len(names)
        assert max(map(cell_len, cut.values())) <= width

    def test_names_are_cut_where_they_agree(self) -> None:
        """A name that nothing resembles is cut in the middle."""
        names = [f"test_inference[{kind}_classification-small]" for kind in ("text", "token")]
        assert list(elided((*names, "test_of_a_clearly_different_name[1]"), 30).values()) == [
            "test_inference[te…ation-small]",
            "test_inference[to…ation-small]",
            "test_of_a_clear…ferent_name[1]",
        ]

    def test_an_elided_text_keeps_both_ends(self) -> None:
        """The start and the parameters of a test name distinguish it."""
        assert elide("test_resnet_inference[64]", 12) == "test_r…e[64]"

    @pytest.mark.parametrize(
        ("encoding", "expected"),
        [("utf-8", True), ("ascii", False), ("cp1252", False), ("nonsense", False), (None, False)],
    )
    def test_an_encoding_must_have_the_blocks(self, encoding: str | None, expected: bool) -> None:
        """Only an encoding with every character of the drawings is used for them."""
        assert expected is shows_blocks(encoding)

    def test_plain_text_stays_readable(self) -> None:
        """Signs are replaced by ASCII."""
        assert plain("+48…+61 % ±50 % 750 µs é") == "+48..+61 % +-50 % 750 us \\xe9"
