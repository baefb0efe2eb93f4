"""Regressions as pull requests make them: the cause names what a reviewer would name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.judge.work_changes import largest_change  # noqa: E402
from pytest_greenops.judge.work_comparison import judge_work  # noqa: E402
from pytest_greenops.model.budget import Budget  # noqa: E402
from pytest_greenops.model.counted import Counted, Coverage  # noqa: E402
from pytest_greenops.model.work_verdict import WorkOutcome  # noqa: E402
from pytest_greenops.work.counting_trip import CountingTrip  # noqa: E402
from tests.unit.works import accepted  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
Work = Callable[[], Any]


class Block(nn.Module):
    """A block of a transformer, and the ways to make it worse."""

    def __init__(self, width: int, change: str) -> None:
        super().__init__()
        self.change = change
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )

    def forward(self, x: Any) -> Any:
        """Run attention and MLP."""
        batch, length, width = x.shape
        parts = self.qkv(self.before(x)).chunk(3, -1)
        query, key, value = (part.view(batch, length, 4, -1).transpose(1, 2) for part in parts)
        attended = self._attend(query, key, value)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, length, width))
        if self.change == "clone":
            x = x.clone()
        elif self.change == "numpy":
            x = torch.from_numpy(x.detach().numpy())
        return x + self.mlp(self.between(x))

    def _attend(self, query: Any, key: Any, value: Any) -> Any:
        if self.change == "eager":
            return (query @ key.transpose(-1, -2) / 4).softmax(-1) @ value
        if self.change == "loop":
            heads = range(query.shape[1])
            alone = [
                (query[:, head] @ key[:, head].transpose(-1, -2) / 4).softmax(-1) @ value[:, head]
                for head in heads
            ]
            return torch.stack(alone, 1)
        size = query.shape[2]
        mask = torch.full((size, size), -9.0).triu(1) if self.change == "mask" else None
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class Model(nn.Module):
    """A small language model."""

    def __init__(self, change: str = "", layers: int = 4, width: int = 64) -> None:
        super().__init__()
        self.change = change
        self.embedding = nn.Embedding(100, width)
        self.layers = nn.ModuleList(Block(width, change) for _ in range(layers))
        self.head = nn.Linear(width, 100)

    def forward(self, ids: Any) -> Any:
        """Return the logits."""
        x, kept = self.embedding(ids), []
        for layer in self.layers:
            if self.change == "checkpoint":
                x = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
            else:
                x = layer(x)
            kept.append(x if self.change == "keep" else None)
        return self.head(x), kept


class Images(nn.Module):
    """A small model of images, with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.second, self.head = nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 10)

    def forward(self, images: Any) -> Any:
        """Return the logits."""
        x = self.second(functional.relu(self.norm(self.first(images))))
        return self.head(x.mean((2, 3)))


IDS = torch.arange(64).reshape(2, 32)
IMAGES = torch.ones(4, 3, 32, 32)


def inference(
    model: Any = None,
    given: Any = IDS,
    grad: bool = False,
    train: bool = False,
    dtype: Any = torch.float32,
    autocast: bool = False,
) -> Work:
    """Return a forward pass."""
    made = (Model() if model is None else model).train(train).to(dtype)

    def work() -> Any:
        with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, autocast):
            return made(given)

    return work


def training(model: Any = None, zero: bool = True, foreach: bool = True) -> Work:
    """Return a step of training."""
    made = (Model() if model is None else model).eval()
    optimizer = torch.optim.AdamW(made.parameters(), foreach=foreach)

    def work() -> None:
        if zero:
            optimizer.zero_grad()
        functional.cross_entropy(made(IDS)[0].flatten(0, 1), IDS.flatten()).backward()
        optimizer.step()

    return work


def batches(size: int) -> Work:
    """Return inference over 16 samples in batches of a size."""
    made = Model().eval()

    @torch.no_grad()
    def work() -> Any:
        return [made(part) for part in torch.arange(64).reshape(16, 4).split(size)]

    return work


def generation(cached: bool) -> Work:
    """Return a loop that generates tokens; without a cache it runs all of them each time."""
    made = Model().eval()

    @torch.no_grad()
    def work() -> None:
        ids = IDS
        for _ in range(4):
            logits, _ = made(ids[:, -1:] if cached else ids)
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)

    return work


def changed(change: str) -> Work:
    """Return inference with a model that has one change."""
    return inference(Model(change))


def cast_input() -> Work:
    """Return inference with images that a change reads as float64."""
    made, images = Images().eval().requires_grad_(False), IMAGES.double()
    return lambda: made(images.float())


#: A regression: the work before and after, and the words of the cause that name it.
REGRESSIONS: dict[str, tuple[Callable[[], Work], Callable[[], Work], tuple[str, ...]]] = {
    "weights in double precision": (
        inference,
        lambda: inference(dtype=torch.float64),
        ("addmm float32 -> float64",),
    ),
    "single precision, not bfloat16": (
        lambda: inference(dtype=torch.bfloat16),
        inference,
        ("addmm bfloat16 -> float32",),
    ),
    "autocast lost": (
        lambda: inference(autocast=True),
        inference,
        ("addmm bfloat16 -> float32",),
    ),
    "images in double precision": (
        lambda: inference(Images(), IMAGES),
        cast_input,
        ("_to_copy float64 -> float32: 0 -> 1 call",),
    ),
    "eager attention": (
        inference,
        lambda: changed("eager"),
        ("bmm float32 0 -> 8 calls", "in place of aten._scaled_dot_product", "4 modules"),
    ),
    "a loop over heads": (inference, lambda: changed("loop"), ("bmm float32 0 -> 32 calls",)),
    "one layer more": (
        inference,
        lambda: inference(Model(layers=5)),
        ("addmm float32 17 -> 21 calls", "in layers.4"),
    ),
    "a wider model": (inference, lambda: inference(Model(width=128)), ("addmm", "layers.0.mlp")),
    "no_grad forgotten": (inference, lambda: inference(grad=True), ("peak memory",)),
    "hidden states kept": (inference, lambda: changed("keep"), ("peak memory",)),
    "train mode left on": (
        inference,
        lambda: inference(train=True),
        ("float32 0 -> 4 calls", "4 modules such as layers.0.mlp"),
    ),
    "batches of one": (lambda: batches(16), lambda: batches(1), ("addmm float32 17 -> 272 calls",)),
    "a way through NumPy": (inference, lambda: changed("numpy"), ("detach float32 0 -> 8 views",)),
    "a clone in each block": (inference, lambda: changed("clone"), ("clone float32 0 -> 4 calls",)),
    "a mask in each block": (inference, lambda: changed("mask"), ("triu float32 0 -> 4 calls",)),
    "checkpoints": (
        training,
        lambda: training(Model("checkpoint")),
        ("addmm float32 17 -> ",),
    ),
    "an optimizer that loops": (
        training,
        lambda: training(foreach=False),
        ("float32 0 -> ", "in place of aten._foreach"),
    ),
    "gradients never cleared": (training, lambda: training(zero=False), ("add",)),
    "a cache that is off": (
        lambda: generation(cached=True),
        lambda: generation(cached=False),
        ("addmm float32 68 calls, +", "layers.0.mlp"),
    ),
    "padding to the maximum": (
        lambda: inference(given=IDS[:, :20]),
        inference,
        ("addmm float32 17 calls, +9.74 MFLOP",),
    ),
    "larger images": (
        lambda: inference(Images(), IMAGES),
        lambda: inference(Images(), torch.ones(4, 3, 48, 48)),
        ("convolution float32 2 calls, +",),
    ),
    "batch norm in train mode": (
        lambda: inference(Images(), IMAGES),
        lambda: inference(Images(), IMAGES, train=True),
        ("add_ int64 0 -> 1 call", "in norm"),
    ),
}
#: Those that cost nothing but memory.
ONLY_MEMORY = {"hidden states kept"}


def count(work: Work) -> Counted:
    """Return what the second call of some work does."""
    work()
    trip = CountingTrip(torch, lambda: None)
    with trip.window("call"):
        work()
    tally = trip.tallies["call"]
    peak_bytes = tally.memory.peak_bytes
    return Counted(dict(tally.operators), dict(tally.modules), peak_bytes, Coverage())


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_found_in_one_call_and_named(name: str) -> None:
    """Increased work is red beyond the margin of 0.5 %; its first line has the reviewer's words."""
    make_before, make_after, words = REGRESSIONS[name]
    before, after = count(make_before()), count(make_after())
    found = judge_work(after, accepted().facts, accepted(before), Budget())
    expected = WorkOutcome.CHANGED if name in ONLY_MEMORY else WorkOutcome.MORE
    assert found.outcome is expected, found
    assert [word for word in words if word not in (found.largest or "")] == [], found.largest
    undone = largest_change(before, after)
    assert undone is not None


@pytest.mark.parametrize(
    "make", [inference, training, lambda: batches(4), lambda: generation(True)]
)
def test_unchanged_work_is_the_same(make: Callable[[], Work]) -> None:
    """Whichever object it is of."""
    before, after = count(make()), count(make())
    found = judge_work(after, accepted().facts, accepted(before), Budget(max_work=0.0))
    assert (found.outcome, found.relative) == (WorkOutcome.SAME, 0.0)
