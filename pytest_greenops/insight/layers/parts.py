"""Into which parts models can be told: by their structure alone, so that two runs have the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_greenops.insight.layers.sites import Site

#: A model is told in so many parts at the most, and in so many at the least where it has them.
MOST_PARTS, FEWEST_PARTS = 48, 4
#: So many cuts are tried, each coarser than the one before.
MOST_CUTS = 3
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


def cuts(roots: Sequence[Site]) -> list[list[Site]]:
    """The cuts of models, the finest first: which adds up is for measurements to tell.

    The finest has their innermost modules that are made of others: the convolution with its
    normalisation, the attention, the feed-forward network. What these compute outside of their own
    modules is theirs; of modules that hold such parts it is nobody's, and if that is much, only a
    coarser cut adds up: its deepest parts are put together with the modules that hold them.
    """
    parts = [part for root in roots for part in _innermost(root)]
    found: list[list[Site]] = []
    while len(found) < MOST_CUTS:
        coarser = _coarser(parts)
        enough = len(coarser) >= FEWEST_PARTS and coarser != parts
        if len(parts) <= MOST_PARTS or not enough:
            found.append(parts)
        if not enough:
            break
        parts = coarser
    return found


def _coarser(parts: Sequence[Site]) -> list[Site]:
    deepest = max(part.depth for part in parts)
    held = [p.parent if p.depth == deepest and p.parent else p for p in parts]
    distinct = list({id(part): part for part in held}.values())
    return [part for part in distinct if not _within(part, distinct)]


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
