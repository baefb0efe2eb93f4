"""The site of the documentation, by Sphinx: `make docs` writes it to build/site.

Its pages are the Markdown files that GitHub shows too, with the same links. The navigation is the
list in docs/index.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pytest_greenops import __version__

ROOT = Path(__file__).parents[2]

project = "pytest-greenops"
author = "The pytest-greenops developers"
project_copyright = author
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/evidence/*.md",
    "examples/README.md",
    "examples/*/README.md",
    "pytest_greenops/**/README.md",
]
root_doc = "docs/index"
# Headings have the anchors that GitHub gives them.
myst_heading_anchors = 6
# As in the docstrings: `text` is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
copybutton_prompt_text = "$ "
# What is printed is not copied.
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = f"pytest-greenops {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
# The home page leads to docs/index.html.
html_extra_path = ["home"]
html_copy_source = False
html_show_sphinx = False

#: In docs/index.md: a heading, and the pages below it.
PART = re.compile(r"^## (?P<caption>.+)\n(?P<pages>(?:(?!^## ).*\n)*)", re.MULTILINE)
PAGE = re.compile(r"\[(?P<title>[^]]+)\]\((?P<page>[\w./-]+)\.md\)")
#: In a docstring: the name of an argument or attribute, two spaces at least, what it means.
MEANING = re.compile(r"^(?P<name>\w+)  +(?P<text>\S.*)$")
#: What a browser would load from elsewhere.
ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*")


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """Append the navigation to the index: the pages that each of its parts links to, in order."""
    if name == root_doc:
        parts = [(part["caption"], part["pages"]) for part in PART.finditer(source[0] + "\n")]
    else:
        parts = [("", source[0])] if name == "examples/README" else []
    for caption, pages in parts:
        source[0] += "\n```{toctree}\n:hidden:\n"
        source[0] += f":caption: {caption}\n\n" if caption else "\n"
        for title, page in PAGE.findall(pages):
            source[0] += f"{title[0].upper()}{title[1:]} <{page}>\n"
        source[0] += "```\n"


def list_meanings(
    app: Any, what: str, name: str, documented: Any, options: Any, lines: list[str]
) -> None:
    """Turn the columns of names and meanings in a docstring into a list."""
    for number, line in enumerate(lines):
        if found := MEANING.match(line):
            lines[number] = f"* `{found['name']}`: {found['text']}"
        elif line.startswith("  ") and number and lines[number - 1].startswith(("* ", "  ")):
            lines[number] = f"  {line.strip()}"


def omit_signature(
    app: Any, what: str, name: str, documented: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Omit the signature of a protocol, which nothing calls."""
    return ("", "") if getattr(documented, "_is_protocol", False) else None


def refuse_elsewhere(app: Any, error: Exception | None) -> None:
    """Raise if a page would load anything from another server."""
    from sphinx.errors import SphinxError

    for page in Path(app.outdir).rglob("*.html"):
        if found := ELSEWHERE.search(page.read_text(encoding="utf-8")):
            raise SphinxError(f"{page}: needs a network: {found[0]}")


def setup(app: Any) -> None:
    """Connect the functions above."""
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-docstring", list_meanings)
    app.connect("autodoc-process-signature", omit_signature)
    app.connect("build-finished", refuse_elsewhere)
