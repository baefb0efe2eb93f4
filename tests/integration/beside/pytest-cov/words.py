"""A module that the tests cover in part."""


def count(text, spend):
    """Return how many words a text has."""
    spend(2.0)
    if not text:
        return 0
    return text.count(" ") + 1
