"""Compare two lists of rows."""


def kept(old: list[str], new: list[str]) -> list[str]:
    """Return the new rows that are old ones, too."""
    known = set(old)
    return [row for row in new if row in known]
