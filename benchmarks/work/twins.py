"""Whether counting changes anything: each workload twice, one of which is counted.

    python -m benchmarks.work.twins [--only TEXT ...]

Both twins are built with the same seeds and called three times; of one, the second call is counted.
Compared bit by bit: the values of the second and third call, the state of the random generators of
torch, NumPy and Python, and of models and optimizers their parameters, gradients, buffers and
state. Where that differs, a third twin shows whether plain twins differ too. A compiled model must
compile no further frame after the count, and its counted call returns what it computes without the
compiler. Without `--only` the table is written to docs/evidence/work.md.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.markdown import publish, table
from benchmarks.work.counting import chosen, counted_with_value, setting
from benchmarks.work.models import Work
from benchmarks.work.workloads import WORKLOADS, make

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "work.md"
WRITER = "python -m benchmarks.work.twins"
PARTS = (
    "counted value",
    "later value",
    "generators",
    "parameters",
    "gradients",
    "buffers",
    "optimizer",
)


class Twin(NamedTuple):
    """What one twin has left.

    prints  a fingerprint of each of its parts
    frames  what the compiler compiled in its first call, and after that
    """

    prints: Mapping[str, str]
    frames: tuple[int, int]


def fingerprint(value: object) -> str:
    """Return a hash of all numbers in nested values, with their dtypes and shapes."""
    digest = hashlib.sha256()
    for part in _leaves(value):
        digest.update(part)
    return digest.hexdigest()


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, torch.Tensor):
        yield f"{value.dtype} {tuple(value.shape)} {value.requires_grad} {value.layout}".encode()
        if value.layout is torch.sparse_coo:
            yield from _leaves([value._indices(), value._values()])
        elif not value.is_mkldnn:
            flat = value.detach().resolve_conj().contiguous().reshape(-1)
            yield flat.view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield repr(key).encode()
            yield from _leaves(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, (int, float, str, type(None))):
        yield repr(value).encode()
    elif hasattr(value, "__dict__"):  # a cache of keys and values, an output
        yield from _leaves(vars(value))


def twin(name: str, count: bool) -> Twin:
    """Call a workload three times, and count the second call or call it plainly."""
    torch.compiler.reset()
    work = make(name)
    started = _frames()
    work.call()
    first = _frames()
    value = counted_with_value(work.call)[1] if count else work.call()
    seen = fingerprint(value)
    later = fingerprint(work.call())
    prints = dict(zip(PARTS, (seen, later, _generators(), *_state(work)), strict=True))
    return Twin(prints, (first - started, _frames() - first))


def _frames() -> int:
    """Return how many frames the compiler has compiled."""
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _generators() -> str:
    state = (torch.get_rng_state(), np.random.get_state(), random.getstate())
    return fingerprint(state)


def _state(work: Work) -> Iterator[str]:
    """Yield fingerprints of parameters, gradients, buffers and the state of optimizers."""
    nets = [each for each in work.holds if isinstance(each, torch.nn.Module)]
    rest = [each.state_dict() for each in work.holds if isinstance(each, torch.optim.Optimizer)]
    yield fingerprint([dict(net.named_parameters()) for net in nets])
    yield fingerprint([{k: p.grad for k, p in net.named_parameters()} for net in nets])
    yield fingerprint([dict(net.named_buffers()) for net in nets])
    yield fingerprint(rest)


def row(name: str) -> list[str]:
    """Compare the twins of a workload."""
    make(name).call()  # what it imports may draw random numbers
    plain, other = twin(name, count=False), twin(name, count=True)
    differ = [part for part in PARTS if plain.prints[part] != other.prints[part]]
    words = ", ".join(differ) or "–"
    if differ:
        third = twin(name, count=False)
        anyway = [part for part in PARTS if plain.prints[part] != third.prints[part]]
        words += f" (plain twins: {', '.join(anyway) or 'nothing'})"
    return [name, words, str(other.frames[0]) if other.frames[0] else "–", str(other.frames[1])]


def main() -> None:
    """Print the table, and write it to the page if it is whole."""
    parser = argparse.ArgumentParser(description="Compare twins of which one is counted.")
    parser.add_argument("--only", nargs="*", default=[], help="texts in the names of workloads")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    rows = []
    for name in chosen(only, WORKLOADS):
        rows.append(row(name))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    same = sum(each[1] == "–" for each in rows)
    lines = [
        f"{setting()}. {same} of {len(rows)} twins are the same in every bit.",
        "",
        *table(["workload", "what differs", "graphs compiled", "after the first call"], rows),
    ]
    publish(lines, PAGE, WRITER, whole=not only)


if __name__ == "__main__":
    main()
