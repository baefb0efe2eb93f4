"""Parts of a test that pass and fail by themselves."""

import pytest


@pytest.mark.parametrize("more", [0])
def test_call(energy, subtests, spend, more):
    """Each part is measured under its own name."""
    for joules in (2, 3):
        with subtests.test("part", joules=joules):
            energy.named(f"part {joules}")(spend, joules + more)
