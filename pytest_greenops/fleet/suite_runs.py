"""The suite on every kind of machine: who runs where, and what is retried."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic

import msgspec

from pytest_greenops.fleet.cluster import Cluster, Node, NodeLost, Remote
from pytest_greenops.fleet.node_events import Collected, Ended, from_line
from pytest_greenops.fleet.part import FAILED, NO_TESTS, PASSED, Kind, Part
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Origin
from pytest_greenops.model.units import counted, format_duration
from pytest_greenops.report import figures
from pytest_greenops.report.kinds_table import used

#: How long one question to a node waits for news, and a reservation before it says that it waits.
_NEWS_S, _SAY_S = 5.0, 20.0
#: How long a node may take to collect the tests, and to end after Ctrl-C.
_COLLECT_S, _END_S = 600.0, 20.0
#: At most this many nodes with the same problem are named.
_NAMED = 3


class SuiteRuns:
    """Runs pytest on nodes of a cluster, each in a thread that asks for its events.

    say          prints a line; it is called in the thread that calls `run`
    left_out     the nodes that cannot run the suite, with the reason
    uncollected  exit statuses of pytest where it could not collect the tests
    """

    def __init__(
        self,
        cluster: Cluster,
        args: Sequence[str],
        project: str,
        origin: Origin,
        wait_s: float,
        say: Callable[[str], None],
    ) -> None:
        """Prepare runs.

        project  the name of the project's folder
        wait_s   how long to wait for a whole node
        """
        self._cluster = cluster
        self._args = args
        self._project = project
        self._origin = msgspec.json.encode(origin)
        self._wait_s = wait_s
        self._say = say
        self.left_out: list[str] = []
        self.uncollected: list[int] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._remotes: list[Remote] = []
        self._lost: set[str] = set()

    def kinds(self, nodes: Sequence[Node]) -> list[Kind]:
        """Collect the tests on each node, and return the nodes by their fingerprint.

        A node where that fails is left out, and a line says why. After Ctrl-C there are none.

        Raises `GreenopsError` if it fails on all.
        """
        found: dict[str, Collected | str] = {}

        def collect(node: Node) -> None:
            remote = self._keep(self._cluster.visit(node))
            try:
                found[node.id] = self._collect(remote)
            except GreenopsError as error:
                found[node.id] = str(error)
            finally:
                remote.end()

        self._in_threads([(collect, (node,)) for node in nodes])
        if self.interrupted:
            return []
        where: dict[str, list[str]] = {}
        for node in nodes:
            if isinstance(problem := found.get(node.id), str):
                where.setdefault(problem.removeprefix(f"{node.name}: "), []).append(node.name)
        for problem, names in where.items():
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            self.left_out.append(f"{', '.join(names[:_NAMED])}{more}: {problem}")
            self._say(self.left_out[-1])
        by_slug: dict[str, list[tuple[Node, Collected]]] = {}
        for node in nodes:
            collected = found.get(node.id)
            if isinstance(collected, Collected):
                slug = collected.results.environment.slug
                by_slug.setdefault(slug, []).append((node, collected))
        if not by_slug:
            raise GreenopsError(
                "pytest could collect the tests on no node; the lines above say why"
            )
        return [
            Kind(slug, tuple(node for node, _ in pairs), pairs[0][1])
            for slug, pairs in sorted(by_slug.items())
        ]

    def run(self, kinds: Sequence[Kind], per_kind: int | None) -> list[Part]:
        """Run the suite on `per_kind` nodes of each kind, None for all; return what they gave.

        After Ctrl-C the runs end, and what they gave until then is returned.
        """
        parts: list[tuple[Part, Sequence[Node]]] = []
        for kind in kinds:
            runs = min(per_kind or len(kind.nodes), len(kind.nodes))
            parts += [(Part(kind, n + 1), kind.nodes[n::runs]) for n in range(runs)]
        self._in_threads([(self._run, each) for each in parts])
        return [part for part, _ in parts]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the runs."""
        return self._stopping.is_set()

    def close(self) -> None:
        """End whatever still runs on nodes."""
        for remote in self._remotes:
            remote.end()

    def _in_threads(self, tasks: Sequence[tuple[Callable[..., None], tuple[object, ...]]]) -> None:
        """Run tasks side by side, and print their lines; Ctrl-C ends what they run on nodes."""
        threads = [threading.Thread(target=do, args=args, daemon=True) for do, args in tasks]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                self._print(wait_s=0.1)
        except KeyboardInterrupt:
            self._stopping.set()
            self._say("interrupted: ends the runs on all nodes")
            self._stop()
            until = monotonic() + _END_S
            for thread in threads:
                thread.join(max(0.0, until - monotonic()))
        while self._print(wait_s=0.0):
            pass

    def _print(self, wait_s: float) -> bool:
        """Print a line if there is one within some seconds, and return whether there was."""
        with suppress(queue.Empty):
            self._say(self._lines.get(timeout=wait_s) if wait_s else self._lines.get_nowait())
            return True
        return False

    def _stop(self) -> None:
        stopping = [
            threading.Thread(target=remote.stop, args=(_END_S,), daemon=True)
            for remote in self._remotes
        ]
        for thread in stopping:
            thread.start()
        until = monotonic() + _END_S
        for thread in stopping:
            thread.join(max(0.0, until - monotonic()))

    def _keep(self, remote: Remote) -> Remote:
        with self._lock:
            self._remotes.append(remote)
        return remote

    def _collect(self, remote: Remote) -> Collected:
        """Return what pytest collects on a node; raises `GreenopsError`."""
        began = monotonic()
        while self._cluster.first_ready([remote], _NEWS_S) is None:
            if remote.lost is not None:
                raise remote.lost
            if monotonic() - began > _COLLECT_S or self.interrupted:
                raise GreenopsError("Ray starts no process there")
        remote.start(self._args, [], self._origin, self._project, collect=True)
        lines: list[bytes] = []
        code, printed = None, ""
        while code is None:
            if monotonic() - began > _COLLECT_S or self.interrupted:
                limit = format_duration(_COLLECT_S)
                raise GreenopsError(f"pytest has not collected the tests within {limit}")
            more, code, printed = remote.poll(len(lines), _NEWS_S)
            lines += more
        try:
            events = [from_line(line) for line in lines]
        except GreenopsError as error:
            raise GreenopsError(f"it {error}") from None
        for event in events:
            if isinstance(event, Collected) and code in (PASSED, FAILED, NO_TESTS):
                return event
        self.uncollected.append(code)
        raise GreenopsError(
            f"pytest cannot collect the tests (exit status {code}): {_first_error(printed)}"
        )

    def _run(self, part: Part, candidates: Sequence[Node]) -> None:
        """Run the suite on one of some nodes, and what is left of it on others if that ends."""
        while True:
            try:
                remote = self._reserve(part, candidates)
            except GreenopsError as error:
                part.problem = str(error)
                break
            try:
                self._follow(part, remote)
                break
            except NodeLost as error:
                if self.interrupted:
                    break
                candidates = self._others(part, remote.node)
                if not part.missing:
                    break
                left = f"{len(part.missing)} of {counted(len(part.tests), 'test')} left"
                if not candidates:
                    part.problem = (
                        f"{error}: {left}, next {part.missing[0]}; no other node of this kind"
                    )
                    break
                self._tell(part, remote.node, f"lost ({error}): {left}, retried on another node")
            except GreenopsError as error:
                part.problem = f"{remote.node.name} {error}"
                break
            finally:
                remote.end()
        if part.problem:
            self._lines.put(f"{label_of(part)}: {part.problem}")

    def _others(self, part: Part, lost: Node) -> list[Node]:
        with self._lock:
            self._lost.add(lost.id)
            return [node for node in part.kind.nodes if node.id not in self._lost]

    def _reserve(self, part: Part, nodes: Sequence[Node]) -> Remote:
        """Return the first node that is reserved whole; the other reservations are withdrawn.

        Raises `GreenopsError` if none is within the time.
        """
        remotes = [self._keep(self._cluster.reserve(node)) for node in nodes]
        began = said = monotonic()
        taken = None
        try:
            while taken is None:
                taken = self._cluster.first_ready(remotes, 1.0)
                now = monotonic()
                if self.interrupted:
                    raise GreenopsError("interrupted before it began")
                if taken is None and now - began > self._wait_s:
                    raise GreenopsError(
                        f"no whole node was free within {format_duration(self._wait_s)}: "
                        f"{_wanted(nodes)}; wait longer with --wait, or end what Ray runs there"
                    )
                if taken is None and now - said > _SAY_S:
                    said = now
                    self._lines.put(
                        f"{label_of(part)}: waits until Ray has a whole node free, "
                        f"{format_duration(now - began)} of {format_duration(self._wait_s)}: "
                        f"{_wanted(nodes)}"
                    )
        finally:
            for remote in remotes:
                if remote is not taken:
                    remote.end()
        return taken

    def _follow(self, part: Part, remote: Remote) -> None:
        """Run on a node what is left, and keep what it reports until it ends."""
        remote.start(self._args, list(part.done), self._origin, self._project, collect=False)
        seen, code = 0, None
        while code is None:
            lines, code, printed = remote.poll(seen, _NEWS_S)
            seen += len(lines)
            for line in lines:
                event = from_line(line)
                part.add(remote.node, event)
                if isinstance(event, Ended):
                    place = f"{len(part.done)}/{len(part.tests)}"
                    self._tell(part, remote.node, f"{place} {_progress(event)}")
        if self.interrupted:
            return
        if not part.visits or part.visits[-1].finished is None:
            part.crashed.append(code)
            last = [line for line in printed.splitlines() if line.strip()]
            how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
            raise GreenopsError(f"pytest {how}: {last[-1] if last else 'it printed nothing'}")
        part.printed = printed

    def _tell(self, part: Part, node: Node, text: str) -> None:
        self._lines.put(f"{label_of(part)} on {node.name}: {text}")


def label_of(part: Part) -> str:
    """Return the name of a run in lines and tables: the kind, and its number if it is not 1."""
    return part.kind.slug + (f" #{part.number}" if part.number > 1 else "")


def _first_error(printed: str) -> str:
    """Return why pytest could not collect, of what it printed: its own line, and the exception."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    usage = [
        text for line in lines for _, is_error, text in [line.partition(": error: ")] if is_error
    ]
    errors = [line for line in lines if line.startswith("ERROR")]
    raised = [line[1:].strip() for line in lines if line.startswith("E  ")]
    named = next(iter([*usage, *errors, *lines[-1:]]), "it printed nothing")
    return f"{named} ({raised[0]})" if raised and raised[0] not in named else named


def _progress(ended: Ended) -> str:
    energies = [used(result) for result in ended.results if figures.measured(result)]
    figure = f", {' + '.join(energies)}" if energies else ""
    return f"{ended.node_id} {ended.outcome}{figure} in {format_duration(ended.seconds)}"


def _wanted(nodes: Iterable[Node]) -> str:
    """Return what a reservation waits for: `10.0.0.3 (8 CPU, 2 GPU)`."""
    return " or ".join(
        f"{node.name} ({node.resources['CPU']:g} CPU"
        + (f", {node.resources['GPU']:g} GPU)" if node.resources.get("GPU") else ")")
        for node in nodes
    )
