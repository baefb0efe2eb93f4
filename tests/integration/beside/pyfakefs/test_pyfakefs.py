"""Files that exist for one test alone."""

from pathlib import Path

import pytest

#: A path that is made before the file system is replaced may lead to the real one.
TEXT = "/books/text.txt"


def test_call(energy, fs, spend):
    """The function reads a file of the test."""
    fs.create_file(TEXT, contents="a few words")

    def read():
        spend(2.0)
        return Path(TEXT).read_text()

    assert energy(read) == "a few words"


@pytest.mark.energy_budget("9 J")
def test_whole(fs, spend):
    """A marked test has an empty disk in its first repetition, and its own files later."""
    spend(4.0)
    text = Path(TEXT)
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("written")
    assert list(text.parent.iterdir()) == [text]


def test_gone():
    """Nothing of that is on the real disk."""
    assert not Path(TEXT).exists()
