"""The options of a run, from the command line and the ini file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_greenops.hooks.options import read_options
from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.run_options import Options

Read = Callable[..., Options]


@pytest.fixture
def options(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Return a function that reads the options of these arguments and ini lines."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def read(*args: str, ini: str = "") -> Options:
        (pytester.path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        return read_options(pytester.parseconfig(*args))

    return read


@pytest.mark.parametrize("ini", ["energy_ab = main", "addopts = --energy-ab=main"])
@pytest.mark.parametrize("option", ["--energy-save", "--energy-save-new", "--energy-sessions=2"])
def test_a_configured_ref_yields_to_an_option_that_excludes_it(
    options: Read, ini: str, option: str
) -> None:
    """So an advised command that saves works where the ini file compares with a branch."""
    assert options("--energy", ini=ini).ab == "main"
    assert options("--energy", option, ini=ini).ab is None
    with pytest.raises(OptionError, match="--energy-ab"):
        options("--energy", option, "--energy-ab=main")
