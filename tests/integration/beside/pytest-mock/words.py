"""What is replaced and spied on."""

import time


def count(text):
    """Return how many words a text has."""
    return text.count(" ") + 1


def now():
    """Return the time."""
    return time.time()
