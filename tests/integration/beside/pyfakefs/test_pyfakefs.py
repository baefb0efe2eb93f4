"""Files that exist for one test alone."""

from pathlib import Path

import pytest

TEXT = Path("/books/text.txt")


def test_call(energy, fs, spend):
    """The function reads a file of the test."""
    fs.create_file(TEXT, contents="a few words")

    def read():
        spend(2.0)
        return TEXT.read_text()

    assert energy(read) == "a few words"


@pytest.mark.energy_budget("9 J")
def test_whole(fs, spend):
    """A marked test has an empty disk in its first repetition, and its own files later."""
    spend(4.0)
    TEXT.parent.mkdir(parents=True, exist_ok=True)
    TEXT.write_text("written")
    assert list(TEXT.parent.iterdir()) == [TEXT]


def test_gone():
    """Nothing of that is on the real disk."""
    assert not TEXT.exists()
