"""A function, its result, and the joules of a call."""

import pytest

from vocabulary import frequencies

TEXT = " ".join(f"word{n % 1500}" for n in range(10_000))


def test_capitals():
    """A test without energy: nothing changes for it."""
    assert frequencies("A rose is a rose") == {"a": 2, "rose": 2, "is": 1}


@pytest.mark.energy_budget("0.25 J", max_increase="100%")
def test_long_text(energy):
    """At most 0.25 J on any machine, and twice what was accepted on this kind of machine."""
    energy.units(word=10_000)
    found = energy(frequencies, TEXT)
    assert sum(found.values()) == 10_000
