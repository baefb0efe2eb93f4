"""Which words a text has, and how often."""

from collections import Counter


def frequencies(text: str) -> dict[str, int]:
    """Return how often each word occurs."""
    words = text.lower().split()
    return dict(Counter(words))
