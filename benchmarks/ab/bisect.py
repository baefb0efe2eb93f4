"""Bisect 64 commits of which one makes a test's work use 15 % more, and count what is found.

    python -m benchmarks.ab.bisect [tries]

Each try makes a repository of a small package with an energy test. The commits change what does
not matter: texts, and functions that the test does not call. One at a random place makes a loop of
the work 15 % longer. Then `pytest-greenops bisect` runs as a user runs it. With the default of 10
tries it also writes the table to docs/evidence/ab.md, which takes a quarter of an hour.
"""

from __future__ import annotations

import platform
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.markdown import publish, table

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.bisect"
TRIES, COMMITS, SEED = 10, 64, 13
#: Times that the work reads its text: 15 % more from the bad commit on.
READS, MORE_READS = 20, 23
TEST = "tests/test_words.py::test_weight"
WORDS = '''"""Weigh the words of a text."""

READS = {reads}


def weight(text):
    """Return the weight of all words."""
    total = 0
    for _ in range(READS):
        for word in text.split():
            total += len(word) * 31 % 7 + (word < "m")
    return total
'''
TESTS = """from words.weight import weight

TEXT = "the quick brown fox jumps over the lazy dog " * 400


def test_weight(energy):
    assert energy(weight, TEXT) > 0
"""


class Try(NamedTuple):
    """What one bisect found.

    bad, found  the number of the bad commit, and of the one that was found; None if none was
    change      the change of that commit over its parent, as the command printed it
    runs        A/B runs that it took
    """

    bad: int
    found: int | None
    change: str
    runs: int
    seconds: float


def main(argv: Sequence[str]) -> None:
    """Print the table, and publish that of the default number of tries."""
    tries = int(argv[0]) if argv else TRIES
    places = random.Random(SEED).choices(range(1, COMMITS + 1), k=tries)
    made = []
    for number, bad in enumerate(places):
        made.append(bisect(bad, seed=SEED + number))
        print(f"{number + 1}/{tries}: {made[-1]}", file=sys.stderr, flush=True)
    publish(list(lines(made)), PAGE, WRITER, whole=tries == TRIES)


def lines(tries: Sequence[Try]) -> Iterator[str]:
    """Yield a sentence, and a row for each try."""
    hit = sum(each.found == each.bad for each in tries)
    runs = [each.runs for each in tries]
    yield (
        f"One of {COMMITS} commits makes a loop of plain Python 15 % longer. `pytest-greenops "
        f"bisect` found that commit in {hit} of {len(tries)} tries, in at most {max(runs)} A/B "
        "runs: one compares BAD with GOOD, one the found commit with its parent, the others are "
        "steps."
    )
    yield ""
    rows = [
        (
            str(each.bad),
            "none" if each.found is None else str(each.found),
            each.change,
            str(each.runs),
            f"{each.seconds:.0f} s",
        )
        for each in tries
    ]
    yield from table(("bad commit", "found", "its change", "A/B runs", "time"), rows)
    yield ""
    day = datetime.now(timezone.utc).date()
    yield f"`{WRITER}`, {day}, {platform.machine()}, Python {platform.python_version()}."


def bisect(bad: int, seed: int) -> Try:
    """Make a repository whose commit of this number is the bad one, and bisect it."""
    with TemporaryDirectory() as name:
        folder = Path(name, "words")
        commits = make(folder, bad, random.Random(seed))
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest_greenops.commands.main", "bisect", commits[0]]
        ran = subprocess.run(
            [*command, "--", TEST], cwd=folder, capture_output=True, text=True, encoding="utf-8"
        )
        seconds = time.monotonic() - began
    print(ran.stdout, ran.stderr, file=sys.stderr, flush=True)
    found = re.search(r"^found: (\w+) .*\n.*\n +(\S+ %)", ran.stdout, re.MULTILINE)
    runs = re.search(r"^energy: (\d+) A/B", ran.stdout, re.MULTILINE)
    number = found and next(i for i, sha in enumerate(commits) if sha.startswith(found[1]))
    return Try(bad, number, found[2] if found else "", int(runs[1]) if runs else 0, seconds)


def make(folder: Path, bad: int, chance: random.Random) -> list[str]:
    """Make the repository, and return its commits in order, GOOD first."""
    for each in ("words", "tests"):
        (folder / each).mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "words" / "__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests" / "test_words.py").write_text(TESTS)
    for number in range(COMMITS + 1):
        reads = MORE_READS if number >= bad else READS
        (folder / "words" / "weight.py").write_text(WORDS.format(reads=reads) + harmless(chance))
        (folder / "README.md").write_text(f"# Words\n\nThis is version {number}.\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"Make version {number}")
    return git(folder, "rev-list", "--reverse", "HEAD").split()


def harmless(chance: random.Random) -> str:
    """Return a comment, and a function that the test does not call."""
    name = "".join(chance.choices("abcdefgh", k=6))
    body = " + ".join(str(chance.randrange(100)) for _ in range(chance.randrange(1, 9)))
    return f"\n\n# About {name}.\ndef {name}():\n    return {body}\n"


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    people = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    return subprocess.run(
        ["git", *people, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main(sys.argv[1:])
