"""Whatever a file, a command line or a driver holds: a value comes out, or a documented error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.found import FOUND
from tests.properties.mutations import inputs
from tests.properties.readers import BY_NAME, READERS, Reader, outcome

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@each_reader
def test_valid_input_is_read(reader: Reader) -> None:
    """The seeds are what bad input is made from: most of them must be good."""
    errors = [outcome(reader, seed) for seed in reader.seeds]
    assert None in errors or reader.name in ("quantity", "option", "region")


@each_reader
@settings(max_examples=300)
@given(data=st.data())
def test_only_documented_errors(reader: Reader, data: st.DataObject) -> None:
    """Changed documents, other numbers, cut files and odd bytes raise nothing else."""
    outcome(reader, data.draw(inputs(reader.seeds)))


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[name for name, _ in FOUND])
def test_what_was_once_found(name: str, data: bytes) -> None:
    """Input that broke a reader once is read, or refused with a documented error."""
    outcome(BY_NAME[name], data)
