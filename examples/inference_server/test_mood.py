"""Joules of requests to a server that the tests start, over HTTP."""

import json
import subprocess
import sys
from urllib.request import urlopen

import pytest

TEXTS = [" ".join(f"word{n * k}" for n in range(200)) for k in range(1, 4)]


@pytest.fixture(scope="session")
def url():
    """Start the server as a child of pytest, on a free port, warm it up, and return its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "mood"], stdout=subprocess.PIPE, text=True
    ) as server:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        ask(address, TEXTS * 10)  # the first requests take longer
        yield address
        server.terminate()


def ask(url, texts):
    """Return the answer to each text."""
    answers = []
    for text in texts:
        with urlopen(url, data=text.encode(), timeout=10) as answer:
            answers.append(json.load(answer))
    return answers


@pytest.mark.energy_budget("0.2 J", per="request", max_increase="100%")
def test_requests(energy, url):
    """Client and server are in the result; the start of the server is not."""
    energy.units(request=len(TEXTS))
    answers = energy(ask, url, TEXTS)
    assert all(abs(answer) < 1 for answer in answers)
