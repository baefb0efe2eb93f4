"""A module that is covered by what is measured."""

import words


def test_call(energy, spend):
    """One of two branches is taken."""
    assert energy(words.count, "a few words", spend) == 3
