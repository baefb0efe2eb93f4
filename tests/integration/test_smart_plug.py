"""The example of a sensor: a smart plug over HTTP, installed as a plugin, with a real server."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.projects import Project, Ran

EXAMPLE = Path(__file__).parents[2] / "examples/smart_plug"
CONFTEST = """
    from pytest_greenops import machine
    from pytest_greenops.measure.observer import NoLoad

    machine.LoadProbe = NoLoad
"""
TEST = """
    import time

    import pytest

    THREE = {{"min_rounds": 3, "max_rounds": 3}}


    @pytest.mark.energy_budget("{budget}", max_increase="400%", max_time="{most}", **THREE)
    def test_wait(energy):
        energy(time.sleep, 0.1)
"""
#: The work of this test switches the plug off.
LAST = """
    import os
    from urllib.request import ProxyHandler, build_opener

    OPENER = build_opener(ProxyHandler({}))


    def test_last(energy):
        energy(lambda: OPENER.open(os.environ["PLUG"] + "/off").close())
"""
#: An answer as the vendor documents it, without its counter.
STATUS = {"id": 0, "source": "init", "output": True, "apower": 0.0, "voltage": 230.1}


class Plug:
    """A plug of constant power, whose counter moves once in a period.

    off  whether it fails each request
    """

    def __init__(self, watts: float, period_s: float) -> None:
        self.watts, self.period_s = watts, period_s
        self.off = False
        self.extra_wh: Callable[[int], float] = lambda asked: 0.0
        self.asked = 0
        self._began = time.monotonic()

    def reply(self) -> tuple[int, bytes]:
        """Return the status and the body of the next answer."""
        self.asked += 1
        moved_s = (time.monotonic() - self._began) // self.period_s * self.period_s
        total_wh = 1e6 + self.watts * moved_s / 3600 + self.extra_wh(self.asked)
        counter = {"total": round(total_wh, 3), "by_minute": [0.0, 0.0, 0.0], "minute_ts": 0}
        body = json.dumps({**STATUS, "aenergy": counter})
        return (503, b"") if self.off else (200, body.encode())


@contextmanager
def served(plug: Plug) -> Iterator[str]:
    """Serve a plug on a free port, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            plug.off |= self.path == "/off"
            known = self.path == "/rpc/Switch.GetStatus?id=0"
            status, body = plug.reply() if known else (200, b"off")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Install the plugin as pip does, for processes of this test, and return a project."""
    place = project.path / "site"
    info = place / "pytest_smart_plug-0.1.0.dist-info"
    info.mkdir(parents=True)
    text = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    [entry] = [line for line in text.splitlines() if line.startswith("smart_plug = ")]
    entry_points = "[pytest11]\n" + entry.replace('"', "") + "\n"
    (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    (info / "METADATA").write_text("Name: pytest-smart-plug\nVersion: 0.1.0\n", encoding="utf-8")
    module = (EXAMPLE / "smart_plug.py").read_text(encoding="utf-8")
    (place / "smart_plug.py").write_text(module, encoding="utf-8")
    searched = filter(None, (str(place), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(searched))
    project.write("conftest.py", CONFTEST)
    project.write("test_it.py", TEST.format(budget="1 J", most="2 s"))
    return project


def measure(project: Project, address: str, period_s: float = 60.0) -> Ran:
    """Run pytest --energy with a plug whose counter is said to move once in a period."""
    ini = f"[pytest]\nplug_address = {address}\nplug_update_period_s = {period_s}\n"
    project.write("pytest.ini", ini)
    return project.energy("-p", "smart_plug", "-o", "energy_fresh_process=false")


def cause(ran: Ran) -> str:
    """Return why the only result has no verdict; its test has passed."""
    assert ran.outcomes == {"passed": 1}
    [result] = ran.results.values()
    assert result.verdict.outcome.value in ("not measured", "inconclusive")
    return str(result.verdict.cause)


def test_joules_at_the_wall(installed: Project) -> None:
    """The plug is the total, whatever else this machine counts, and its joules are right."""
    installed.write("test_it.py", TEST.format(budget="1 kJ", most="60 s"))
    with served(Plug(watts=2000.0, period_s=0.05)) as address:
        ran = measure(installed, address, period_s=0.05)
    assert any(line.startswith("plugins: ") and "smart-plug-0.1.0" in line for line in ran.lines)
    assert ran.energy_lines[0] == "sensed by plug (wall)"
    assert ran.verdicts == {"test_wait": "no baseline"}
    [result] = ran.results.values()
    assert set(result.by_domain) == {"wall"}
    assert result.watts == pytest.approx(2000.0, rel=0.2)


def test_a_window_of_less_than_its_updates(installed: Project) -> None:
    """A counter that moves in a short window by chance gives no verdict, whatever it shows."""
    with served(Plug(watts=50.0, period_s=0.3)) as address:
        ran = measure(installed, address)
    assert "too short" in cause(ran)


def test_a_counter_that_stands_still(installed: Project) -> None:
    """No joules are not 0 J."""
    with served(Plug(watts=50.0, period_s=1e6)) as address:
        ran = measure(installed, address)
    assert "did not move" in cause(ran)
    assert ran.verdicts == {"test_wait": "not measured"}


def test_a_plug_that_dies(installed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test passes as it would without `--energy`, and its result says what failed."""
    installed.write("test_it.py", LAST)
    with served(Plug(watts=2000.0, period_s=0.05)) as address:
        monkeypatch.setenv("PLUG", address)
        ran = measure(installed, address, period_s=0.05)
    assert ran.verdicts == {"test_last": "not measured"}
    assert "wall could not be read: HTTP Error 503: Service Unavailable" in cause(ran)


def test_a_counter_that_is_reset(installed: Project) -> None:
    """A count below the one before is no energy."""
    plug = Plug(watts=2000.0, period_s=0.05)
    plug.extra_wh = lambda asked: -100.0 * asked
    with served(plug) as address:
        ran = measure(installed, address, period_s=0.05)
    assert "wall went back" in cause(ran)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"<html>", "Expecting value: line 1 column 1 (char 0)"),
        (200, b'{"id": 0}', "'aenergy'"),
        (404, b"", "HTTP Error 404: Not Found"),
    ],
)
def test_what_is_no_plug(
    installed: Project,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    reason: str,
) -> None:
    """A run stops in one line that names the address and the fix."""
    monkeypatch.setattr(Plug, "reply", lambda self: (status, body))
    with served(Plug(watts=50.0, period_s=1.0)) as address:
        ran = measure(installed, address)
    assert (ran.code, ran.errors) == (
        pytest.ExitCode.USAGE_ERROR,
        [f"ERROR: no plug at {address} ({reason}); fix: check plug_address"],
    )


def test_a_plug_that_is_away(installed: Project) -> None:
    """Nothing that listens, and something that does not answer in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hangs = measure(installed, address)
    refused = measure(installed, address)
    assert hangs.errors == [f"ERROR: no plug at {address} (timed out); fix: check plug_address"]
    [error] = refused.errors
    assert "Connection refused" in error


def test_without_an_address(installed: Project) -> None:
    """The plugin adds nothing where no plug is configured, and nothing fails without ours."""
    installed.write("pytest.ini", "[pytest]\nenergy_sensors = estimate\n")
    assert installed.energy("-p", "smart_plug").results["test_wait"].provenance.estimated
    installed.write("test_it.py", "def test_it(): pass\n")
    installed.write("conftest.py", "")
    installed.write("pytest.ini", "[pytest]\nplug_address = http://127.0.0.1:9\n")
    assert installed.run("-p", "smart_plug", "-p", "no:greenops").outcomes == {"passed": 1}
