"""Small files of a kernel, in a folder that a test writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.sensors.system_files import cpu_count, exists, matching, text, texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"intel-rapl\n", "intel-rapl"),
        (b"\0 \r\n\tA model, B \0\0\t\r\n", "A model, B"),
        (b"one\ntwo\n", "one\ntwo"),
        (b" \n\0", None),
        (b"", None),
    ],
)
def test_the_text_of_a_file_has_nothing_around_it(
    tmp_path: Path, content: bytes, expected: str | None
) -> None:
    """Neither lines nor the NULs of a device tree; an empty file has none."""
    (tmp_path / "file").write_bytes(content)
    assert text(tmp_path / "file") == expected


def test_what_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    """A missing file, and a folder."""
    assert [text(tmp_path / "missing"), text(tmp_path)] == [None, None]


def test_a_missing_file_does_not_exist(tmp_path: Path) -> None:
    """A folder does."""
    assert [exists(tmp_path), exists(tmp_path / "missing")] == [True, False]


def test_files_that_match_are_sorted_and_their_texts_distinct(tmp_path: Path) -> None:
    """A file without a text adds none, and a folder that is missing has no files."""
    for name, content in (("b", "4\n"), ("a", "4"), ("c", ""), ("d", "8")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(content)
    (tmp_path / "a" / "type").write_text("Data")
    found = [tmp_path / name / "size" for name in "abcd"]
    assert matching(tmp_path, "*/size") == found
    assert texts(tmp_path, "*/size") == {"4", "8"}
    assert (matching(tmp_path / "e", "*"), texts(tmp_path / "e", "*")) == ([], set())


@pytest.mark.parametrize(
    ("listed", "count"),
    [
        ("0", 1),
        ("5", 1),
        ("0-3", 4),
        ("0-3,8", 5),
        ("2-3,8-9,11", 5),
        (f"1-{2**20}", 2**20),
        (f"0-{2**20}", 0),
        ("3-0", 0),
        ("1-0", 0),
        ("", 0),
        ("all", 0),
        ("0:3", 0),
    ],
)
def test_cpus_in_a_list_are_counted(listed: str, count: int) -> None:
    """A list that makes no sense, or of more CPUs than any kernel is built for, has none."""
    assert cpu_count(listed) == count
