"""The counted work of a call over all ranks of a job: the sum of what each computes and moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator


class WorkOfRank(msgspec.Struct):
    """What one rank, or all of them, counted under a name, or why not."""

    why: str | None = None
    operators: tuple[tuple[Operator, Amount], ...] = ()
    modules: dict[str, Amount] = {}
    peak_bytes: int = 0
    coverage: Coverage = Coverage()
    weighted: dict[str, int] = {}

    @classmethod
    def of(cls, work: Counted | str) -> WorkOfRank:
        """Return what a rank counted as it is sent."""
        if isinstance(work, str):
            return cls(work)
        return cls(
            None,
            tuple(work.operators.items()),
            dict(work.modules),
            work.peak_bytes,
            work.coverage,
            dict(work.weighted),
        )

    @property
    def counted(self) -> Counted | str:
        """What was counted, or why not."""
        if self.why is not None:
            return self.why
        operators = dict(self.operators)
        return Counted(operators, self.modules, self.peak_bytes, self.coverage, self.weighted)


def sendable(work: Mapping[str, Counted | str | None]) -> dict[str, WorkOfRank]:
    """Return counted work by name as it is sent, without what should not have been counted."""
    return {name: WorkOfRank.of(each) for name, each in work.items() if each is not None}


def counted_of_ranks(
    own: Mapping[str, Counted | str | None], ranks: Sequence[Mapping[str, WorkOfRank]]
) -> dict[str, Counted | str | None]:
    """Return the work of all ranks by name, or why it is not counted; `own` is that of rank 0."""
    return {
        name: work if work is None or isinstance(work, str) else _sum(name, work, ranks)
        for name, work in own.items()
    }


def _sum(name: str, own: Counted, ranks: Sequence[Mapping[str, WorkOfRank]]) -> Counted | str:
    operators: dict[Operator, Amount] = {}
    modules: dict[str, Amount] = {}
    weighted: dict[str, int] = {}
    peak_bytes, coverages = 0, []
    for rank, each in enumerate(ranks):
        work = each.get(name, WorkOfRank("it did not count this name"))
        if work.why is not None:
            return f"rank {rank}: {work.why}"
        for operator, amount in work.operators:
            operators[operator] = operators.get(operator, Amount()) + amount
        for path, amount in work.modules.items():
            modules[path] = modules.get(path, Amount()) + amount
        for path, weight in work.weighted.items():
            weighted[path] = weighted.get(path, 0) + weight
        peak_bytes += work.peak_bytes
        coverages.append(work.coverage)
    return Counted(operators, modules, peak_bytes, _least(own.coverage, coverages), weighted)


def _least(own: Coverage, ranks: Sequence[Coverage]) -> Coverage:
    """Return the coverage of the rank of which the least was counted."""
    unknown = next((each.unknown for each in ranks if each.share is None), None)
    shares = [each.share for each in ranks if each.share is not None]
    return replace(
        own,
        share=min(shares) if len(shares) == len(ranks) else None,
        unknown=unknown if len(shares) < len(ranks) else None,
        threads=max(each.threads for each in ranks),
        children=max(each.children for each in ranks),
        compiled=any(each.compiled for each in ranks),
        blind=tuple(dict.fromkeys(name for each in ranks for name in each.blind)),
        peak_varies=any(each.peak_varies for each in ranks),
    )
