"""The pipes between the processes of a comparison, and what tests may do to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread

import pytest

from pytest_greenops.ab.messages import (
    Channel,
    ChannelClosed,
    Command,
    Ended,
    EndLoop,
    Event,
    NoAnswer,
    Ready,
    Start,
)
from pytest_greenops.measure.commanded import Order

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Return the end of a parent and that of its side."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    parent, side = Channel(ours_in, ours_out, Event), Channel(theirs_in, theirs_out, Command)
    yield parent, side
    for channel in (parent, side):
        channel.close()


def test_messages_arrive_as_they_were_sent(ends: Ends) -> None:
    """Commands go one way and events the other, in their order."""
    parent, side = ends
    commands = [Start("tests/test_ü.py::test[a b]"), Order(5, cpu=1, settle=True), EndLoop()]
    for each in commands:
        parent.send(each)
    assert [side.receive() for _ in commands] == commands
    side.send(Ended("the test failed", {"mypkg": "/site"}))
    assert parent.receive(1.0) == Ended("the test failed", {"mypkg": "/site"})


def test_a_message_larger_than_a_pipe(ends: Ends) -> None:
    """A side with very many tests can say so."""
    parent, side = ends
    ready = Ready([f"tests/test_{n}.py::test" for n in range(20_000)], [], {}, {}, None, {})
    sender = Thread(target=side.send, args=(ready,))
    sender.start()
    assert parent.receive(10.0) == ready
    sender.join()


def test_no_answer(ends: Ends) -> None:
    """A wait that exceeds the limit raises an error."""
    with pytest.raises(NoAnswer, match="its process did not answer within 0 s"):
        ends[0].receive(0.01)


def test_the_other_end_is_gone(ends: Ends) -> None:
    """A process that has ended is found by reading and by writing."""
    parent, side = ends
    side.close()
    with pytest.raises(ChannelClosed, match="its process ended"):
        parent.receive(1.0)
    with pytest.raises(ChannelClosed, match="its process cannot be reached"):
        parent.send(EndLoop())


def test_half_a_message(ends: Ends) -> None:
    """A process that ends while it sends is one that has ended."""
    parent, side = ends
    os.write(side._outgoing, b"\0\0\0\x09half")
    side.close()
    with pytest.raises(ChannelClosed, match="its process ended"):
        parent.receive(1.0)


def test_a_test_closed_the_pipes(ends: Ends) -> None:
    """Another file with the number of a pipe is neither read, nor written, nor closed."""
    parent, _ = ends
    assert parent.is_whole
    numbers = parent._incoming, parent._outgoing
    for number in numbers:
        os.close(number)
    assert not parent.is_whole
    others = [os.open(os.devnull, os.O_RDWR) for _ in numbers]
    for other, number in zip(others, numbers, strict=True):
        os.dup2(other, number)
    for use in (lambda: parent.send(EndLoop()), lambda: parent.receive(1.0)):
        with pytest.raises(ChannelClosed, match="a test closed the pipe to it"):
            use()
    parent.close()
    for each in {*others, *numbers}:
        os.close(each)  # raises if it is not open


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_pipes_that_another_process_keeps(ends: Ends) -> None:
    """A fork whose test closes all descriptors takes the pipes from the process that forked it."""
    parent, side = ends
    answer = Ended(None, {})
    child = os.fork()
    if child == 0:
        side.kept_by(os.getppid())
        os.closerange(3, 256)
        try:
            if side.receive() == EndLoop():
                side.send(answer)
        finally:
            os._exit(0)
    parent.send(EndLoop())
    assert parent.receive(10.0) == answer
    os.waitpid(child, 0)
