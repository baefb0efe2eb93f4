"""One side of an A/B comparison as its parent sees it: a warm process, and a test that it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from pytest_greenops.ab.messages import (
    Channel,
    ChannelClosed,
    Ended,
    EndLoop,
    Event,
    NoAnswer,
    Ready,
    Start,
)
from pytest_greenops.ab.redirect import Redirect
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.run_options import SIDE_VARIABLE, TREE_VARIABLE
from pytest_greenops.run.process import (
    Invocation,
    Process,
    ProcessFailure,
    exit_text,
    failing,
    last_line,
    pytest_program,
)
from pytest_greenops.system import SYSTEM, System

#: The descriptors of the pipes in a side: none that a shell or a test chooses by itself.
INCOMING, OUTGOING = 60, 61
#: How long a process that should end by itself may take.
_END_S = 5.0


class SideFailure(GreenopsError):
    """A side cannot go on; the message says which and why: `in main, the test failed: …`."""

    def __init__(self, side: str, why: str) -> None:
        super().__init__(f"in {side}, {why}")


class LoopLeft(GreenopsError):
    """A test that was measured as a whole measures by itself: its next loop has begun inside."""


class SideHangs(SideFailure):
    """A side does not answer: another try would take as long."""


class SideRequest(msgspec.Struct, frozen=True):
    """What the warm process of a side is asked for.

    parent_id  process id of the parent
    files      paths of the test files to collect
    options    values of pytest's options, by attribute name
    folder     an empty folder, for what the run would write elsewhere
    redirect   the tree of this side, and the one that it takes the place of
    roots      folders in the tree that have the project's own packages
    """

    invocation: Invocation
    parent_id: int
    files: list[str]
    options: dict[str, Any]
    folder: str
    redirect: Redirect
    roots: tuple[str, ...]


class Side:
    """Starts a test in a tree as often as it is asked to, and passes on orders.

    name   what readers call it: `main`, or `the working tree`
    added  what was added to its environment for its tests
    """

    def __init__(
        self,
        name: str,
        request: SideRequest,
        environ: Mapping[str, str],
        redirect: str | None = None,
        system: System = SYSTEM,
    ) -> None:
        """Prepare a side; nothing is started yet.

        redirect  path of the file that redirects its imports
        """
        self.name = name
        self._request = request
        self._environ = {**environ, **({TREE_VARIABLE: redirect} if redirect else {})}
        self._system = system
        self._process: Process | None = None
        self._channel: Channel | None = None
        self._ready: Ready | None = None
        self.added: dict[str, str] = {}
        self._processes, self._seed = 0, 1
        self._runs = self._holds = False
        self._next: Loop | None = None

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of its processes."""
        return self._environ

    def warm(self) -> None:
        """Start the warm process, if none runs that can be reached; `ready` waits for it."""
        if self._channel is not None and not self._channel.is_whole:
            self.abandon()
        if self._process is None:
            self._spawn()

    def ready(self, limit_s: float) -> Ready:
        """Return what the warm process has collected."""
        self.warm()
        if self._ready is None:
            self._ready = self._expect(Ready, limit_s)
        return self._ready

    def start(self, node: str, limit_s: float, count: bool = False) -> None:
        """Start a test, by its path in the tree and its names; then `event` says how far it is.

        count  only count its work: it has no measuring loops then
        """
        self.ready(limit_s)
        self._send(Start(node, count))
        self._runs = True

    def event(self, limit_s: float) -> Loop | Ended:
        """Wait until the test reaches a measuring loop, or ends."""
        event: Loop | Ended = self._next or self._expect((Loop, Ended), limit_s)
        self._next = None
        self._holds = isinstance(event, Loop)
        if isinstance(event, Ended):
            self._ended()
        return event

    def work(self, order: Order, limit_s: float) -> Slice:
        """Let the test work in one window; raise `LoopLeft` if it leaves the loop for another."""
        self._send(order)
        done: Slice = self._expect((Slice, Ended, Loop), limit_s)
        if isinstance(done, Loop):
            self._next, self._holds = done, False
            raise LoopLeft(f"the test measures by itself in {self.name}")
        if isinstance(done, Ended):
            self._ended()
            left = "its measurement was left before its rounds were done"
            raise SideFailure(self.name, done.failure or left)
        return done

    @property
    def left_loop(self) -> bool:
        """Whether the test has left a loop for the one that `event` returns next."""
        return self._next is not None

    def leave_loop(self) -> None:
        """Let the test go on after its loop."""
        self._holds = False
        self._send(EndLoop())

    def finish(self, limit_s: float) -> None:
        """Let a test that was begun run to its end, so that another one can start."""
        with suppress(SideFailure):
            while self._runs:
                if self._holds:
                    self.leave_loop()
                self.event(limit_s)

    def end(self) -> None:
        """End the process, and what it started."""
        channel, process = self._channel, self._process
        self._channel = self._process = self._ready = None
        self._runs = self._holds = False
        self._next = None
        if channel is not None:
            channel.close()
        if process is not None:
            process.ends_within(_END_S)
            process.kill()

    def renew(self, **environ: str) -> None:
        """End the process: the next start has a new one, with more in its environment."""
        self.end()
        self._environ |= environ
        self.added |= environ
        self._seed += 1

    def abandon(self) -> None:
        """End the process at once: its test hangs, or does not matter any more."""
        if self._process is not None:
            self._process.kill()
        self.end()

    def _ended(self) -> None:
        self._runs = self._holds = False
        if self._ready is not None and self._ready.one_start:
            self.end()

    def _spawn(self) -> None:
        system, request = self._system, self._request
        self._processes += 1
        path = f"{request.folder}/request-{self._processes}.json"
        self._output = f"{request.folder}/output-{self._processes}"
        with failing("its request could not be written", self._failure):
            system.write_file(path, msgspec.json.encode(request))
            theirs_in, ours_out = system.pipe()
            ours_in, theirs_out = system.pipe()
        # Both sides hash strings alike, so that sets have the same order.
        environ = {"PYTHONHASHSEED": str(self._seed), **self._environ, SIDE_VARIABLE: path}
        given = {theirs_in: INCOMING, theirs_out: OUTGOING}
        program = pytest_program(SIDE_VARIABLE)
        try:
            self._process = Process(program, environ, self._output, given, system)
        except ProcessFailure as failure:
            system.close(ours_in)
            system.close(ours_out)
            raise self._failure(str(failure)) from None
        finally:
            system.close(theirs_in)
            system.close(theirs_out)
        self._channel = Channel(ours_in, ours_out, Event, system)

    def _send(self, message: Start | Order | EndLoop) -> None:
        assert self._channel is not None
        self._guarded(lambda channel: channel.send(message))

    def _expect(self, kinds: Any, limit_s: float) -> Any:
        message = self._guarded(lambda channel: channel.receive(limit_s))
        if not isinstance(message, kinds):
            raise self._failure(f"its process sent {type(message).__name__} out of turn")
        return message

    def _guarded(self, use: Callable[[Channel], Any]) -> Any:
        """Use the channel; a failure ends the process and says how."""
        channel, process = self._channel, self._process
        if channel is None or process is None:
            raise self._failure("its process has ended")
        try:
            return use(channel)
        except ChannelClosed as error:
            ended = process.ends_within(1.0)
            why = str(error)
            if ended and process.code is not None:
                why = (
                    f"its process {exit_text(process.code)}{last_line(self._output, self._system)}"
                )
            self.abandon()
            raise self._failure(why) from None
        except NoAnswer as error:
            self.abandon()
            raise SideHangs(self.name, str(error)) from None

    def _failure(self, why: str) -> SideFailure:
        return SideFailure(self.name, why)
