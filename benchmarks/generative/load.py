"""Requests that arrive at given times, and statistics of how they were served.

An open loop: a slow model does not receive fewer requests, its requests wait.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import NamedTuple


@dataclass(frozen=True)
class Load:
    """A load of requests.

    rate_per_s  average number of requests per second
    slots       largest number of requests that are served at the same time
    """

    rate_per_s: float
    requests: int
    prompt_tokens: int
    answer_tokens: int
    slots: int

    @property
    def longest_text(self) -> int:
        """Return the tokens of a prompt with its answer."""
        return self.prompt_tokens + self.answer_tokens


class Request(NamedTuple):
    """A request: arrival relative to the start of the load, prompt, and length of the answer."""

    arrival_s: float
    prompt: Sequence[int]
    answer_tokens: int


class Served(NamedTuple):
    """A served request, with times relative to the start of the load."""

    arrival_s: float
    begun_s: float
    finished_s: float
    answer: Sequence[int]


def poisson_arrivals(rate_per_s: float, requests: int, seed: int) -> list[float]:
    """Return arrival times in seconds: gaps are exponential with a mean of `1 / rate_per_s`.

    The same seed gives the same gaps, stretched by the rate.
    """
    gaps = random.Random(seed)
    arrivals, now_s = [], 0.0
    for _ in range(requests):
        now_s += gaps.expovariate(1.0) / rate_per_s
        arrivals.append(now_s)
    return arrivals


def requests_of(load: Load, vocabulary: int, seed: int) -> list[Request]:
    """Return the requests of a load in order of arrival, with seeded random prompts."""
    tokens = random.Random(seed + 1)
    return [
        Request(
            arrival_s,
            [tokens.randrange(vocabulary) for _ in range(load.prompt_tokens)],
            load.answer_tokens,
        )
        for arrival_s in poisson_arrivals(load.rate_per_s, load.requests, seed)
    ]


def facts_of(served: Sequence[Served]) -> dict[str, float]:
    """Return the statistics of one run of a load.

    utilisation  share of the time, from the start to the last answer, in which any was served
    latency      from a request's arrival to the end of its answer: median and 95th percentile
    """
    duration_s = max(request.finished_s for request in served)
    latencies_s = [request.finished_s - request.arrival_s for request in served]
    cuts = quantiles(latencies_s, n=20, method="inclusive")
    return {
        "duration_s": duration_s,
        "utilisation": busy_s(served) / duration_s,
        "most_at_once": most_at_once(served),
        "tokens_per_s": sum(len(request.answer) for request in served) / duration_s,
        "latency_median_s": cuts[9],
        "latency_p95_s": cuts[18],
    }


def busy_s(served: Sequence[Served]) -> float:
    """Return how long at least one request was being served."""
    total_s, until_s = 0.0, 0.0
    for request in sorted(served, key=lambda request: request.begun_s):
        total_s += max(0.0, request.finished_s - max(request.begun_s, until_s))
        until_s = max(until_s, request.finished_s)
    return total_s


def most_at_once(served: Sequence[Served]) -> int:
    """Return the largest number of requests that were served at the same time.

    A request that begins when another ends does not overlap it.
    """
    changes = [(request.begun_s, 1) for request in served]
    changes += [(request.finished_s, -1) for request in served]
    at_once = most = 0
    for _, change in sorted(changes):
        at_once += change
        most = max(most, at_once)
    return most
