"""Coroutines that the plugin of AnyIO runs, once for each backend."""

import anyio
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Return the only backend that is always there."""
    return "asyncio"


@pytest.fixture
async def stream():
    """Return both ends of a stream."""
    send, receive = anyio.create_memory_object_stream(1)
    async with send, receive:
        yield send, receive


async def test_call(energy, stream, spend):
    """A coroutine is awaited in the loop of the test."""
    send, receive = stream

    async def pass_on():
        spend(2.0)
        async with anyio.create_task_group() as group:
            group.start_soon(send.send, 3)
            return await receive.receive()

    assert await energy.acall(pass_on) == 3


@pytest.mark.energy_budget("9 J")
async def test_whole(spend):
    """A marked test is awaited again for each repetition."""
    spend(4.0)
    with anyio.fail_after(5):
        await anyio.sleep(0)
