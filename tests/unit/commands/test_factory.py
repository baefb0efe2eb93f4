"""Functions of the user's code, named as `MODULE:FACTORY`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_greenops.commands.factory import load
from pytest_greenops.model.errors import InsightError

MODULE = """
from sizes_beside import SIZE

NUMBER = 3


def llama_7b():
    return SIZE


def fails():
    raise KeyError("width")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with a module and a package; what they import is forgotten."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counted_models.py").write_text(MODULE)
    (tmp_path / "sizes_beside.py").write_text("SIZE = 7")
    package = tmp_path / "counted_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text("def make(): return 8")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("counted_models.py:llama_7b", 7),
        ("./counted_models.py:llama_7b", 7),
        ("counted_models:llama_7b", 7),
        ("counted_package.models:make", 8),
        ("counted_package/models.py:make", 8),
    ],
)
def test_a_file_or_a_module(name: str, made: int) -> None:
    """A path of a file, or a module that can be imported from the working directory."""
    assert made == load(name).make()


def test_a_file_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file finds the modules beside it from any directory."""
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert 7 == load("../counted_models.py:llama_7b").make()


def test_a_file_with_the_name_of_a_loaded_module(folder: Path) -> None:
    """It replaces no module."""
    (folder / "json.py").write_text("def make(): return 9")
    known = sys.modules["json"]
    assert 9 == load("json.py:make").make()
    assert known is sys.modules["json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("counted_models.py", "'counted_models.py': expected MODULE:FACTORY, e.g. models.py:llama"),
        (":llama", "':llama': expected MODULE:FACTORY"),
        ("counted_models.py:", "'counted_models.py:': expected MODULE:FACTORY"),
        ("gone.py:llama", "gone.py: no such file: expected its path from /"),
        ("gone:llama", "no module gone: expected one that Python can import from here, or a file"),
        ("gone.models:llama", "no module gone: expected"),
        ("counted_package.gone:make", "no module counted_package.gone: expected"),
        ("counted_models.py:llama_7", "counted_models.py has no llama_7; did you mean counted_mo"),
        ("counted_models.py:gpt", "counted_models.py has no gpt; expected one of its functions"),
        ("counted_models.py:NUMBER", "counted_models.py:NUMBER is 3: expected a function without"),
        ("broken.py:make", "broken.py cannot be imported (SyntaxError: "),
        ("needs.py:make", "needs.py cannot be imported (ModuleNotFoundError: No module named 'gon"),
        ("needs:make", "needs cannot be imported (ModuleNotFoundError: No module named 'gone'"),
        ("exits.py:make", "exits.py cannot be imported (SystemExit: 3)"),
    ],
)
def test_what_cannot_be_loaded(folder: Path, name: str, said: str) -> None:
    """A line names the module or function that is missing, or what went wrong in it."""
    (folder / "broken.py").write_text("def make(:")
    (folder / "needs.py").write_text("import gone")
    (folder / "exits.py").write_text("raise SystemExit(3)")
    with pytest.raises(InsightError) as raised:
        load(name)
    assert str(raised.value).startswith(said)


def test_the_place_of_an_exception() -> None:
    """The line of the module that raised it; nothing for an exception from elsewhere."""
    factory = load("counted_models.py:fails")
    with pytest.raises(KeyError) as raised:
        factory.make()
    assert " (counted_models.py:12)" == factory.place(raised.value)
    assert "" == factory.place(ValueError())
