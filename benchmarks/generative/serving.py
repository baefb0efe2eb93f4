"""Serving of requests with the continuous batching of transformers, and its measurement."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from benchmarks.axes import Axis
from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load, Request, Served, facts_of, requests_of
from benchmarks.utilisation import Utilisation

if TYPE_CHECKING:
    from pytest_greenops import Energy

#: The same arrivals and prompts in every round and every run, so that runs are comparable.
SEED = 2503_23934
REQUESTS = 8
ROUNDS = 3
RATES = Axis("rate", {f"rate{n}": n for n in (1, 4, 16, 64)}, ("rate4", "rate64"))
#: Tokens of one page of the cache.
PAGE = 32
#: Timeout for an answer before checking that the serving thread is alive.
ANSWER_TIMEOUT_S = 1.0


class Server:
    """A model with a thread that waits for requests and serves them together."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._names = map(str, itertools.count())

    def __call__(self, requests: Sequence[Request]) -> list[Served]:
        """Send each request at its arrival time; return all served requests, in order.

        Raises `RuntimeError` for a request that was not answered.
        """
        begun_s = time.perf_counter()
        sent: dict[str, Request] = {}
        for request in requests:
            name = next(self._names)
            sent[name] = request
            time.sleep(max(0.0, begun_s + request.arrival_s - time.perf_counter()))
            self._manager.add_request(
                request.prompt, request_id=name, max_new_tokens=request.answer_tokens
            )
        served: dict[str, Served] = {}
        while len(served) < len(sent):
            output = self._next_output()
            start_s, end_s = output.lifespan
            served[output.request_id] = Served(
                sent[output.request_id].arrival_s,
                start_s - begun_s,
                end_s - begun_s,
                output.generated_tokens,
            )
        return [served[name] for name in sent]

    def _next_output(self) -> Any:
        while True:
            output = self._manager.get_result(timeout=ANSWER_TIMEOUT_S)
            if output is not None and output.error is None:
                return output
            if output is not None:
                raise RuntimeError(f"a request was not answered: {output.error}")
            if not self._manager.is_running():
                raise RuntimeError("a request was not answered: the serving thread has ended")


@contextmanager
def serving(model: CausalLM, load: Load) -> Iterator[Server]:
    """Start a server for the load: `load.slots` requests at once, greedy, without early stop.

    No kernel is downloaded: attention is that of the model.
    """
    pages = load.slots * math.ceil(load.longest_text / PAGE)
    batching = ContinuousBatchingConfig(
        page_size=PAGE,
        num_blocks=2 * pages,  # enough for all requests without waiting
        max_batch_tokens=load.slots * load.prompt_tokens,
        max_requests_per_batch=load.slots,
        allow_block_sharing=False,  # prompts have no common prefix
        auto_switch_to_flash=False,
    )
    answers = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    with model.continuous_batching_context_manager(
        generation_config=answers, continuous_batching_config=batching
    ) as manager:
        yield Server(manager)


def measure_load(
    energy: Energy,
    causal_lm: CausalLM,
    device: torch.device,
    facts: Callable[..., None],
    load: Load,
) -> list[Served]:
    """Measure whole runs of the load, waiting included; return the requests of the last run.

    An unmeasured warm-up serves a few requests at once. The recorded facts are those of the last
    run; the utilisation of devices is that of the whole measurement.
    """
    requests = requests_of(load, causal_lm.config.vocab_size, SEED)
    with serving(causal_lm, load) as server:
        server([request._replace(arrival_s=0.0) for request in requests[: load.slots]])
        energy.units(request=load.requests, token=load.requests * load.answer_tokens)
        with Utilisation(device) as used:
            served = energy.pedantic(server, args=(requests,), rounds=ROUNDS, warmup_rounds=0)
    facts(
        requests=load.requests,
        rate_per_s=load.rate_per_s,
        slots=load.slots,
        prompt_tokens=load.prompt_tokens,
        answer_tokens=load.answer_tokens,
        **facts_of(served),
        **used.shares,
    )
    return served


def assert_answered(served: list[Served], load: Load) -> None:
    """Assert that every request has its whole answer, within the slots of the load."""
    assert [load.answer_tokens] * load.requests == [len(request.answer) for request in served]
    assert facts_of(served)["most_at_once"] <= load.slots
