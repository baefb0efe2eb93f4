"""Workers of pytest-xdist: each measures on its host, and its controller has the baselines.

A worker introduces its machine to the controller by a channel of execnet. It compares with the
baselines of the controller, and leaves what is to be saved to it. So baselines are read and written
in one place, whatever host a worker runs on, and whether tests are copied there or checked out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from pytest_greenops.baselines.served import ServedStore, Server
from pytest_greenops.baselines.store import Store
from pytest_greenops.model.baseline import BOOT
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import BaselineError, GreenopsError, OptionError

#: What the controller sends to its workers: the channel for questions.
_WORKERINPUT = "greenops_channel"


class Introduction(msgspec.Struct, frozen=True):
    """The first thing that a worker says.

    shares  whether several workers may measure on its host at the same time: joules are estimated,
            or none are measured
    """

    environment: Environment
    shares: bool

    @property
    def host(self) -> str | None:
        """What tells its host from others; None if that is not known."""
        return self.environment.recorded.get(BOOT)


class Machine(NamedTuple):
    """A machine on which workers measure.

    name         that of its folder of baselines
    worker       of pytest-xdist, where each worker runs all tests; a replaced worker keeps its name
    environment  as the worker sees it
    """

    name: str
    worker: str
    environment: Environment


class Workers:
    """The workers of one run, in the controller; each asks about baselines in a thread.

    A worker that replaces a crashed one takes its name, and its place in the run.
    """

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        """Answer about a folder of baselines."""
        self._folder = folder
        self._each = getattr(config.option, "dist", "no") == "each"
        self._names: dict[int, str] = {}
        self._introduced: dict[str, Introduction] = {}
        self._servers: dict[str, Server] = {}

    def connect(self, node: Any) -> None:
        """Give a worker its channel, before it starts."""
        gateway = node.gateway
        name = self._names.setdefault(id(gateway.spec), gateway.id)
        node.workerinput[_WORKERINPUT] = channel = gateway.newchannel()
        channel.setcallback(partial(self._answer, name, channel, is_elsewhere(gateway.spec)))

    def machine_of(self, node: Any) -> Machine:
        """Return the machine on which a worker measures, once it has reported a test."""
        name = self._names[id(node.gateway.spec)]
        environment = self._introduced[name].environment
        return Machine(environment.slug, name if self._each else "", environment)

    def _answer(self, name: str, channel: Any, elsewhere: bool, question: tuple[str, Any]) -> None:
        what, about = question
        try:
            if what == "introduction":
                self._meet(name, msgspec.convert(about, Introduction))
                answer = str(self._folder) if elsewhere else None
            else:
                answer = self._servers[name].answer(what, about)
        except GreenopsError as error:
            channel.send((str(error), None))
        else:
            channel.send((None, answer))

    def _meet(self, name: str, introduction: Introduction) -> None:
        """Note the machine of a worker; refuse a second one where counters count all of a host."""
        others = [each for other, each in self._introduced.items() if other != name]
        self._introduced[name] = introduction
        self._servers[name] = Server(self._folder, introduction.environment.slug)
        alone = introduction.host is not None and not introduction.shares
        if alone and any(each.host == introduction.host and not each.shares for each in others):
            raise OptionError(
                f"worker {name} of pytest-xdist runs on the host of another one: energy counters "
                "count the whole machine, so their tests would be charged for each other; start "
                "one worker on each host, or use --energy-sensors estimate"
            )


def is_elsewhere(spec: Any) -> bool:
    """Return whether a worker has another root directory than its controller, by its XSpec."""
    return not spec.popen or bool(spec.chdir)


def open_store(
    config: pytest.Config, folder: Path, environment: Environment, shares: bool
) -> Store:
    """Return the baselines of the machine of a worker, as its controller has them.

    Raises `BaselineError`; also if this worker must not measure.
    """
    channel = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    if channel is None:  # nothing is measured: the controller only shows what it collected
        return Store(folder, environment.slug)
    ask = partial(_ask, channel)
    served = ask("introduction", msgspec.to_builtins(Introduction(environment, shares)))
    if served is None:
        return Store(folder, environment.slug)
    return ServedStore(Path(served), environment.slug, ask)


def _ask(channel: Any, what: str, about: Any) -> Any:
    """Return the answer of the controller; raise `BaselineError` if it has none."""
    try:
        channel.send((what, about))
        problem, answer = channel.receive()
    except (EOFError, OSError) as error:
        raise BaselineError(f"the controller of pytest-xdist does not answer: {error}") from None
    if problem is not None:
        raise BaselineError(problem)
    return answer
