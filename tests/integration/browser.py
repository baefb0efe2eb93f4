"""Real headless Chromium, which reads one file and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

#: Where Chromium is, by its names on Debian and elsewhere.
NAMES = ("chromium", "chromium-browser", "google-chrome")
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}


def blocked(why: str) -> None:
    """Skip where there is no browser; in CI, fail."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return a running browser."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        blocked("Chromium is not installed: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        blocked(f"{error}: pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a file; at the end, it had no error and asked for nothing.

    Wait for a locator, not with `wait_for_function`: the page's policy forbids to evaluate text.
    """
    contexts, said, asked = [], [], []

    def open_page(path: Path, anchor: str = "", **settings: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append((path.as_uri(), request.url)))
        page.goto(f"{path.as_uri()}{anchor}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for own, url in asked if not url.startswith((own, "data:,"))] == []


def violations(page: Any) -> list[Any]:
    """Return what axe-core finds against WCAG 2.1 AA, such as a low contrast or a missing name."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError as error:
        blocked(f"{error}: pip install axe-playwright-python")
    found = Axe().run(page, options=_RULES).response
    assert len(found["passes"]) > 30
    return [(each["id"], each["nodes"]) for each in found["violations"]]
