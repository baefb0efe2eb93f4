"""Measure what 10,000 tests on 50 kinds of machine cost where they are stored.

    python -m benchmarks.scale [TESTS [KINDS]]

Saves and merges as the plugin and its command do, on values like those of a run: one measurement of
ten rounds for each test. Each time is beside that of a control, which writes as many files of the
same size and does nothing else, since disks differ more than computers. Minutes; a quiet machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks.markdown import table
from pytest_greenops.baselines.baseline_file import encode
from pytest_greenops.baselines.store import Store
from pytest_greenops.commands.merge import merge
from pytest_greenops.history.append import append
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import Origin
from pytest_greenops.report.document import to_json
from tests.history.runs import run
from tests.postgresql import running_server
from tests.unit.builders import baseline, grown
from tests.unit.report import samples

TESTS, KINDS = 10_000, 50
#: The goals: seconds for saving all baselines, and for merging a result of each kind.
GOAL_SAVE_S, GOAL_MERGE_S = 10.0, 30.0
#: Tests of one module, and sessions of a baseline that is full.
MODULE, SESSIONS = 100, 10


class Row(NamedTuple):
    """What was done, with wall and CPU seconds, those of its control, and a remark."""

    what: str
    wall_s: float
    cpu_s: float
    control_s: float | None = None
    remark: str = ""

    @property
    def cells(self) -> list[str]:
        """Return the cells of the table."""
        control = "" if self.control_s is None else f"{self.control_s:.1f} s"
        return [self.what, f"{self.wall_s:.1f} s", f"{self.cpu_s:.1f} s", control, self.remark]


def timed(what: str, act: Callable[[], object], remark: str = "") -> Row:
    """Do something once, and return what it took."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    act()
    return Row(what, time.perf_counter() - wall_s, time.process_time() - cpu_s, None, remark)


def key(number: int) -> TestKey:
    """Return the test of a number."""
    return TestKey(f"tests/test_{number // MODULE:03}.py", "test_it", str(number % MODULE))


def machine(kind: int) -> str:
    """Return the folder of a kind of machine."""
    return f"amd-epyc-{kind}-powercap-{kind:08x}"


def saving(folder: Path, tests: int) -> Iterator[Row]:
    """Yield the times of a first and of a tenth session of each test, as `--energy-save` writes."""
    for what, of in (
        ("a first session", grown(sessions=1)),
        ("ten sessions", grown(sessions=SESSIONS)),
    ):
        values = [baseline(key(number), call=of) for number in range(tests)]
        size = len(encode(values[0]))
        save = partial(save_all, Store(folder / what, machine(0)), values)
        row = timed(f"save {tests:,} baselines of {what}", save, f"{size:,} bytes a file")
        control = timed("", partial(control_files, folder / f"control of {what}", tests, size))
        yield row._replace(control_s=control.wall_s)


def save_all(store: Store, values: Sequence[Baseline]) -> None:
    """Save baselines, one after the other as their tests end."""
    store.check_writable()
    for value in values:
        store.update(value.test, partial(_new, value))


def _new(value: Baseline, _: Baseline | None) -> Baseline:
    return value


def control_files(folder: Path, files: int, size: int) -> None:
    """Write files of a size, each whole and on disk before it has its name."""
    folder.mkdir()
    data = bytes(size)
    for number in range(files):
        path = folder / f"{number}"
        with path.with_suffix(".new").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path.with_suffix(".new"), path)


def reading(folder: Path) -> Row:
    """Return the time of reading all baselines of a machine, as a run of all tests does."""
    store = Store(folder / "ten sessions", machine(0))
    return timed("read all of them", lambda: dict(store.files()))


def merging_results(folder: Path, tests: int, kinds: int) -> Row:
    """Return the time of merging a result file of each shard, each with all tests."""
    one = samples.result()
    results = samples.run([replace(one, test=key(number)) for number in range(tests)])
    data = to_json(results)
    paths = [folder / f"{kind}.json" for kind in range(kinds)]
    for path in paths:
        path.write_bytes(data)
    return timed(
        f"merge {kinds} results of {tests:,} tests",
        lambda: list(merge(folder / "merged.json", paths)),
        f"{len(data) / 1e6:.0f} MB a file",
    )


def merging_baselines(folder: Path, tests: int, kinds: int) -> Row:
    """Return the time of merging a folder of each kind, with as many files in all as tests."""
    each = max(1, tests // kinds)
    data = {number: encode(baseline(key(number), call=grown(sessions=1))) for number in range(each)}
    inputs = [folder / f"shard-{kind}" for kind in range(kinds)]
    for kind, path in enumerate(inputs):
        for number, content in data.items():
            file = Store(path, machine(kind)).path(key(number))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    what = f"merge {each * kinds:,} baselines of {kinds} kinds"
    row = timed(what, lambda: list(merge(folder / "all", inputs)))
    size = len(data[0])
    control = timed("", lambda: control_files(folder / "control", each * kinds, size))
    return row._replace(control_s=control.wall_s)


def with_git(folder: Path, tests: int, kinds: int) -> Iterator[list[str]]:
    """Yield what git takes for the baselines of one kind, and of more kinds."""
    for count in dict.fromkeys((1, min(5, kinds))):
        tree = folder / f"tree-{count}"
        for kind in range(count):
            for number in range(tests):
                value = baseline(key(number), call=grown(joules=2 + kind + number / tests))
                file = Store(tree / "baselines", machine(kind)).path(key(number))
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encode(value))

        def git(*args: str, cwd: Path = tree) -> float:
            begun_s = time.perf_counter()
            subprocess.run(["git", *args], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - begun_s

        git("init", "-q")
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        add_s = git("add", ".") + git(*who, "commit", "-qm", "all")
        status_s = git("status", "--porcelain")
        for number in range(100):
            path = Store(tree / "baselines", machine(0)).path(key(number))
            path.write_bytes(path.read_bytes().replace(b"2026", b"2027"))
        diff_s = git("diff", "--stat")
        clone_s = git("clone", "-q", "--no-local", str(tree), "clone", cwd=folder)
        git("gc", "-q")
        packed = sum(path.stat().st_size for path in (tree / ".git").rglob("*.pack"))
        files = sum(1 for path in (tree / "baselines").rglob("*.json"))
        size = sum(path.stat().st_size for path in (tree / "baselines").rglob("*.json"))
        yield [
            f"{files:,}",
            f"{size / 1e6:.0f} MB",
            f"{packed / 1e6:.1f} MB",
            *(f"{took_s:.1f} s" for took_s in (add_s, clone_s, status_s, diff_s)),
        ]
        shutil.rmtree(tree)
        shutil.rmtree(folder / "clone")


def in_history(folder: Path) -> Iterator[list[str]]:
    """Yield what a row of a history takes, from runs of 1,000 tests, in each kind of database."""
    results = [samples.result(test=key(number)) for number in range(1000)]
    runs = [replace(run(1, results), origin=Origin(f"{n:032x}", "demo")) for n in range(1, 11)]
    path = folder / "history.db"
    took = timed("", lambda: [append(HistoryUrl(f"sqlite:///{path}", folder), [r]) for r in runs])
    yield ["SQLite", f"{path.stat().st_size / 1e4:.0f} bytes", f"{took.wall_s / 10:.2f} s"]
    with running_server() as server:
        databases = [server.new_database(), server.new_database()]
        url = HistoryUrl(databases[0], folder)
        took = timed("", lambda: [append(url, [each]) for each in runs])
        names = [each.partition("@/")[2].partition("?")[0] for each in databases]
        sizes = [int(server.sql(f"SELECT pg_database_size('{name}')")) for name in names]
    per_row = (sizes[0] - sizes[1]) / 1e4
    yield ["PostgreSQL", f"{per_row:.0f} bytes", f"{took.wall_s / 10:.2f} s"]


def main() -> None:
    """Print the tables."""
    given = list(map(int, sys.argv[1:]))
    tests, kinds = (*given, *(TESTS, KINDS)[len(given) :])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*saving(folder, tests), reading(folder)]
        merged = merging_results(folder, tests, kinds)
        rows += [merged, merging_baselines(folder, tests, kinds)]
        of_git = list(with_git(folder, tests, kinds))
        of_history = list(in_history(folder))
    saved = rows[0]
    lines = [
        f"{os.cpu_count()} CPUs with a load of {os.getloadavg()[2]:.0f} processes, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}. Goals: "
        f"saving under {GOAL_SAVE_S:g} s ({_met(saved.wall_s, GOAL_SAVE_S)}), "
        f"merging results under {GOAL_MERGE_S:g} s ({_met(merged.wall_s, GOAL_MERGE_S)}).",
        "",
        *table(["what", "wall", "CPU", "control", ""], [row.cells for row in rows]),
        "",
        *table(
            ["files", "size", "packed", "add, commit", "clone", "status", "diff of 100"], of_git
        ),
        "",
        *table(["history", "a row", "append 1,000 tests"], of_history),
    ]
    print("\n".join(lines))


def _met(took_s: float, goal_s: float) -> str:
    return "met" if took_s < goal_s else "missed"


if __name__ == "__main__":
    main()
