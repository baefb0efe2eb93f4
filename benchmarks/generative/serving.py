"""Serves requests with the continuous batching of transformers, on a GPU or a CPU."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transformers import ContinuousBatchingConfig, GenerationConfig

from benchmarks.causal_lm import CausalLM
from benchmarks.generative.load import Load, Request, Served

#: Tokens of the cache that are handed out together.
PAGE = 32
#: How long to wait for an answer before asking whether the loop that makes it still lives.
PATIENCE_S = 1.0


class Server:
    """A model that is ready to answer: a thread waits for requests and serves them together."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._names = map(str, itertools.count())

    def __call__(self, requests: Sequence[Request]) -> list[Served]:
        """Send each request when its time has come; all of them as they were served, in order.

        Raises `RuntimeError` where one was not answered.
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
            output = self._manager.get_result(timeout=PATIENCE_S)
            if output is not None and output.error is None:
                return output
            if output is not None:
                raise RuntimeError(f"a request was not answered: {output.error}")
            if not self._manager.is_running():
                raise RuntimeError("a request was not answered: the serving thread has ended")


@contextmanager
def serving(model: CausalLM, load: Load) -> Iterator[Server]:
    """A server with room for the load: `load.slots` requests at once, greedy, to the last token.

    No kernel is fetched from anywhere: attention is the one that the model was built with.
    """
    pages = load.slots * math.ceil(load.longest_text / PAGE)
    batching = ContinuousBatchingConfig(
        page_size=PAGE,
        num_blocks=2 * pages,  # no request ever waits for room
        max_batch_tokens=load.slots * load.prompt_tokens,
        max_requests_per_batch=load.slots,
        allow_block_sharing=False,  # prompts have nothing in common
        auto_switch_to_flash=False,
    )
    answers = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    with model.continuous_batching_context_manager(
        generation_config=answers, continuous_batching_config=batching
    ) as manager:
        yield Server(manager)
