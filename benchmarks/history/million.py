"""How fast the trend of a test is in a history of a million figures, on PostgreSQL.

    python -m benchmarks.history.million [ROWS [TESTS]]

Starts a PostgreSQL in a temporary folder as an ordinary user, makes the tables as a run does, and
fills them by statements of the server: 1,000 tests in 1,000 runs, of two machines in turns. Then it
reads the trend of one test, by node id and by pattern, and all trends of the last 50 runs; with the
steps, as the command does, but without starting Python. It prints whether the query for one test
uses an index. Last it appends runs. Fewer TESTS have more runs each. A minute.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops.history.append import append
from pytest_greenops.history.database import reading
from pytest_greenops.history.read import Wanted, last_figures, read_trends
from pytest_greenops.history.tables import tables
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import Origin
from tests.history.runs import run
from tests.postgresql import running_server
from tests.unit.builders import key
from tests.unit.report import samples

FILL = """
INSERT INTO greenops_machines (label, facts) VALUES ('xeon-4c-powercap-11112222', '{{}}');
INSERT INTO greenops_runs
    (uid, created_at, project, commit, dirty, branch, version, versions, machine_id)
SELECT md5(n::text), timestamptz '2020-01-01' + n * interval '1 hour', project, md5(n::text),
    false, branch, version, versions, 1 + n % 2
FROM greenops_runs, generate_series(2, {runs}) AS n;
INSERT INTO greenops_figures ({columns})
SELECT {values} FROM greenops_figures AS f, greenops_runs AS r WHERE r.id > 1;
ANALYZE;
"""


def main() -> None:
    """Fill a history, and print how long it takes to read from it."""
    given = list(map(int, sys.argv[1:]))
    rows, tests = (*given, *(1_000_000, 1000)[len(given) :])
    with running_server() as server:
        written = server.new_database()
        url = HistoryUrl(written, Path.cwd())
        results = [samples.result(test=key(f"test_{n}"), rounds=1) for n in range(tests)]
        append(url, [run(1, results)])
        columns = [column.name for column in tables().figures.columns]
        values = {
            "run_id": "r.id",
            "machine_id": "r.machine_id",
            "energy_j": "f.energy_j * (1 + 0.01 * random())",
        }
        fill = FILL.format(
            runs=rows // tests,
            columns=", ".join(columns),
            values=", ".join(values.get(name, f"f.{name}") for name in columns),
        )
        begun_s = time.perf_counter()
        server.sql(fill, written.partition("@/")[2].partition("?")[0])
        print(f"filled in {time.perf_counter() - begun_s:.0f} s")
        name = f"tests/test_x.py::test_{tests // 2}"
        _report("one test, by node id, 50 runs", lambda: read_trends(url, Wanted(name)))
        _report("one test, 1,000 runs", lambda: read_trends(url, Wanted(name, last=1000)), 1)
        _report("ten tests, by pattern", lambda: read_trends(url, Wanted(f"{name[:-1]}?")))
        _report("all tests, last 50 runs", lambda: read_trends(url, Wanted()), 1)
        one = run(2, results)
        fresh = [replace(one, origin=Origin(f"{n:032x}", "demo")) for n in range(100, 105)]
        _report(f"append a run of {tests} tests", lambda: append(url, [fresh.pop()]))
        with reading(url) as connection:
            number = connection.exec_driver_sql(
                f"SELECT id FROM greenops_series WHERE test = '{name}'"
            ).scalar()
            query = last_figures(tables(), int(number or 0), 1, Wanted(name))
            text = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS off) {text}")
            lines = [str(line[0]) for line in plan]
        print("\n".join(line for line in lines if " on " in line or "Time" in line))


def _report(what: str, read: Callable[[], object], tries: int = 5) -> None:
    """Print the median time of some tries, the first of which also compiles the query."""
    times_s = []
    for _ in range(tries):
        begun_s = time.perf_counter()
        read()
        times_s.append(time.perf_counter() - begun_s)
    print(f"{what}: {statistics.median(times_s):.3f} s (slowest {max(times_s):.3f} s)")


if __name__ == "__main__":
    main()
