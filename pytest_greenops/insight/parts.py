"""Into which parts models are told: by their structure alone, so that two runs have the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_greenops.insight.sites import Site

#: A model is told in so many parts at the most, if a coarser cut has `FEWEST_PARTS` of them.
MOST_PARTS, FEWEST_PARTS = 48, 8
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


def cut(roots: Sequence[Site]) -> list[Site]:
    """The parts into which models are told: their innermost modules that are made of others.

    That is the convolution with its normalisation, the attention, the feed-forward network: what
    they compute outside of their own modules is theirs. Modules that only pass on to such ones are
    cut further, containers always. Where that makes too many parts, the deepest are put together
    with their parents; which parts there are depends on nothing but the structure.
    """
    parts = [part for root in roots for part in _innermost(root)]
    while len(parts) > MOST_PARTS:
        deepest = max(part.depth for part in parts)
        coarser = [p.parent if p.depth == deepest and p.parent else p for p in parts]
        coarser = list({id(part): part for part in coarser}.values())
        if deepest == 0 or len(coarser) < FEWEST_PARTS:
            break
        parts = [part for part in coarser if not _within(part, coarser)]
    return parts


def _innermost(site: Site) -> Iterator[Site]:
    children = list(site.children.values())
    passes_on = site.depth == 0 or site.kind in _CONTAINERS
    if children and (passes_on or any(child.children for child in children)):
        for child in children:
            yield from _innermost(child)
    else:
        yield site


def _within(site: Site, others: Sequence[Site]) -> bool:
    """Whether a part lies in another one."""
    above = site.parent
    while above is not None:
        if any(above is other for other in others):
            return True
        above = above.parent
    return False
