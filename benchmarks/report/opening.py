"""Measure the HTML report of many tests: its size, the time to write it, and to open it.

    python -m benchmarks.report.opening [number of tests ...]

The browser is headless Chromium on this machine. Each test has 25 rounds in two sessions, with the
sampled power of a GPU, eight A/B pairs, counted work with 30 operators and 30 modules, and a
baseline; each tenth has regressed, and 25 of its operators and modules have changed.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.markdown import table
from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_duration
from tests.unit import works
from tests.unit.builders import CPU, DRAM, GPU, key
from tests.unit.report.samples import change, each_pair, pairs, result, run, sampled

TESTS = (10, 100, 1_000, 5_000)
#: The goals for 1,000 tests.
GOAL_S, GOAL_MB = 3.0, 15.0
OPENED = 5


def main() -> None:
    """Print a row for each number of tests."""
    from playwright.sync_api import sync_playwright

    head = ("tests", "size", "written in", "opened in", "first test with charts")
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        for number in map(int, sys.argv[1:] or TESTS):
            path = Path(folder, f"{number}.html")
            document = run([_test(each) for each in range(number)])
            file = HtmlFile(path)
            began = time.perf_counter()
            file.write(document)
            written_s = time.perf_counter() - began
            opened = [_opened(browser, path) for _ in range(OPENED)]
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            times = map(statistics.median, zip(*opened, strict=True))
            rows.append((f"{number:,}", size, *map(format_duration, (written_s, *times))))
    print(*table(head, rows), sep="\n")
    print(f"Goals for 1,000 tests: under {GOAL_MB:g} MB, opened in under {GOAL_S:g} s.")


def _test(number: int) -> Result:
    regressed = number % 10 == 0
    counted = works.table(
        {f"aten.op_{each} float32": works.calls(each + 1, 500) for each in range(30)},
        {f"model.layers.{each}.mlp": works.calls(each + 1, 500) for each in range(30)},
    )
    made = result(
        Outcome.REGRESSED if regressed else Outcome.PASSED,
        test=key(f"test_of_a_usual_length_{number}", param="bert-base-uncased"),
        shares={CPU: 0.3, DRAM: 0.1, GPU: 0.6},
        rounds=15,
        change=change(0.2, 0.15, 0.25) if regressed else change(0.01, -0.01, 0.02),
        interleaved=pairs(every_pair=each_pair(*[0.2 if regressed else 0.01] * 8)),
        work=works.record(counted),
    )
    if regressed:
        work = works.changed_verdict(25, 25, left_out=5)
        made = replace(made, verdict=replace(made.verdict, work=work))
    return sampled(replace(made, fresh=(made.rounds[:10],)), parts=8)


def _opened(browser: Any, path: Path) -> tuple[float, float]:
    """Return seconds until the page is loaded, filled and drawn, and until a test is opened."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    opened_s = time.perf_counter() - began
    page.locator("#tests > tbody summary").first.click()
    page.locator("#tests figure .main-svg").first.wait_for()
    tested_s = time.perf_counter() - began - opened_s
    page.close()
    return opened_s, tested_s


if __name__ == "__main__":
    main()
