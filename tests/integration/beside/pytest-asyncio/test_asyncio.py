"""Coroutines and fixtures that pytest-asyncio runs, in its mode without markers."""

import asyncio

import pytest


@pytest.fixture
async def queue():
    """Return a queue of the loop in which the test runs."""
    queue = asyncio.Queue()
    yield queue
    assert queue.empty()


async def test_call(energy, queue, spend):
    """A coroutine is awaited in the loop of the test."""

    async def pass_on():
        await queue.put(3)
        spend(2.0)
        return await queue.get()

    assert await energy.acall(pass_on) == 3


@pytest.mark.energy_budget("9 J")
async def test_whole(queue, spend):
    """A marked test uses the same loop in each repetition."""
    spend(4.0)
    await queue.put(4)
    assert await asyncio.wait_for(queue.get(), 5) == 4
