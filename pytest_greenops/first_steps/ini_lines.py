"""Lines for the file that configures pytest, added as text: all else in it stays as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.first_steps.project import Project, parsed_toml

#: The section of pytest in each kind of file.
_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest", "pyproject.toml": "tool.pytest"}


class IniLines(NamedTuple):
    """Lines to add to a section of a file.

    section  as it is written in brackets
    begins   whether the section is new in the file
    text     the content of the file with these lines; None if they cannot be added safely
    """

    path: Path
    section: str
    lines: tuple[str, ...]
    begins: bool = False
    text: str | None = None

    @property
    def added(self) -> str:
        """The text that is new in the file."""
        heading = (f"[{self.section}]",) if self.begins else ()
        return "\n".join((*heading, *self.lines))

    @property
    def place(self) -> str:
        """Where in the file the text belongs, after its name."""
        return "" if self.begins else f", below [{self.section}]"


def propose(project: Project) -> IniLines:
    """Return the lines that a project lacks; there may be none.

    Raises `OSError` for a file that cannot be read.
    """
    wanted: dict[str, str | bool] = {}
    path, section = _file(project), _section(project)
    # setuptools builds nothing where a value of setup.cfg has a %; 5 % is the default anyway.
    if project.configured.max_increase is None and path.name != "setup.cfg":
        wanted["energy_max_increase"] = "5%"
    if project.uses.benchmark and not project.configured.benchmarks:
        wanted["energy_benchmarks"] = True
    lines = tuple(_line(name, value, path) for name, value in wanted.items())
    proposal = IniLines(path, section, lines)
    before = path.read_bytes() if path.exists() else b""
    try:
        old = before.decode("utf-8")
        new = _with(old, section, lines)
        expected = _parsed(path, old)
        begins = section not in expected
        added = wanted if _is_toml(path) else {n: str(v).lower() for n, v in wanted.items()}
        expected.setdefault(section, {}).update(added)
        safe = _parsed(path, new) == expected
    except ValueError:  # it is not UTF-8, or has this section in another notation
        return proposal
    return proposal._replace(begins=begins, text=new) if safe else proposal


def _file(project: Project) -> Path:
    """Return the file that pytest reads; without one, pyproject.toml if it exists."""
    if project.configured.inifile:
        return Path(project.configured.inifile)
    existing = project.folder / "pyproject.toml"
    return existing if existing.exists() else project.folder / "pytest.ini"


def _is_toml(path: Path) -> bool:
    return path.suffix == ".toml"


def _section(project: Project) -> str:
    """Return the section of pytest: a pyproject.toml has one of two."""
    path = _file(project)
    section = _SECTIONS.get(path.name, "pytest")
    native = project.pyproject.get("tool", {}).get("pytest", {}).keys() - {"ini_options"}
    return f"{section}.ini_options" if path.name == "pyproject.toml" and not native else section


def _line(name: str, value: str | bool, path: Path) -> str:
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    return f'{name} = "{value}"' if _is_toml(path) else f"{name} = {value}"


def _with(text: str, section: str, lines: tuple[str, ...]) -> str:
    """Return a text with lines below the heading of a section, which is added if it is missing."""
    end = "\r\n" if "\r\n" in text else "\n"
    added = "".join(f"{line}{end}" for line in lines)
    heading = re.search(rf"^\[{re.escape(section)}\][^\n]*(?:\n|\Z)", text, re.MULTILINE)
    if heading is None:
        apart = end if text and not text.endswith(("\n\n", "\r\n\r\n")) else ""
        ended = end if text and not text.endswith("\n") else ""
        return f"{text}{ended}{apart}[{section}]{end}{added}"
    at = heading.end()
    ended = "" if heading[0].endswith("\n") else end
    return f"{text[:at]}{ended}{added}{text[at:]}"


def _parsed(path: Path, text: str) -> dict[str, dict[str, Any]]:
    """Return the sections of a file, as pytest's parser reads them; raises `ValueError`.

    Of a TOML file, the sections are that of pytest, and the whole document without it.
    """
    if not _is_toml(path):
        import iniconfig

        try:
            sections = iniconfig.IniConfig(str(path), data=text)
        except iniconfig.ParseError as error:
            raise ValueError(str(error)) from None
        return {section.name: dict(section.items()) for section in sections}
    document = parsed_toml(text)
    if path.name != "pyproject.toml":
        own = document.pop("pytest", None)
        return {"": document} | ({} if own is None else {"pytest": own})
    tool = document.get("tool", {})
    native = tool.pop("pytest", {})
    options = native.pop("ini_options", None)
    found: dict[str, dict[str, Any]] = {"": document}
    if not tool:
        document.pop("tool", None)
    if options is not None:
        found["tool.pytest.ini_options"] = options
    return found | ({"tool.pytest": native} if native else {})
