"""Takes the place of pytest in the steps of a bisect: it compares the numbers in two files.

Each commit has a file `joules.txt`: a number, or a reason why its test fails. As long as there is a
file `$FAKE_AB/hold`, the comparison of a commit whose file begins with `wait` writes its process id
to `$FAKE_AB/waits`, and waits. A test file `test_it.py`, if there is one, multiplies the number.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

MARGIN = 0.05


def main(args: Sequence[str], plugins: Sequence[object] = ()) -> int:
    """Compare the file here with that of the ref, as `--energy-ab` would.

    With plugins, which read the configuration, pytest itself runs.
    """
    if plugins:
        sys.path.remove(os.environ["FAKE_AB"])
        del sys.modules["pytest"]
        return int(importlib.import_module("pytest").main(args, plugins=plugins))
    given = dict(each.split("=", 1) for each in args if each.startswith("--") and "=" in each)
    ref = given["--energy-ab"]
    energy, base = Path("joules.txt").read_text(), committed(ref, "joules.txt")
    folder = Path(os.environ["FAKE_AB"])
    if energy.startswith("wait") and (folder / "hold").exists():
        (folder / "waits").write_text(str(os.getpid()))
        time.sleep(60)
    try:
        share = float(energy.removeprefix("wait ")) / float(base.removeprefix("wait ")) - 1
        if Path("test_it.py").exists():
            share = (1 + share) * float(Path("test_it.py").read_text()) - 1
    except ValueError:
        print(f"=== 1 failed ===\nFAILED test_it.py::test_a - {energy}\n=== 1 failed in 1 s ===")
        return 1
    outcome = "regressed" if share > MARGIN else "passed"
    compared = {"ref": ref, "commit": ref[:7], "outcome": outcome, "margin": MARGIN, "pairs": 7}
    compared |= {"relative": share, "low": share - 0.01, "high": share + 0.01}
    result = {
        "test": {"module": "test_it.py", "qualname": "test_a"},
        **{"name": "call", "domain": "total", "unit": "call"},
        "provenance": {"sensors": {}, "estimated": False},
        "verdict": {"outcome": outcome, "interleaved": compared},
    }
    policy = {"max_increase": MARGIN, "action": "fail", "estimates": "warn", "strict": False}
    results = {
        **{"schema": 1, "created_at": "", "version": "", "environment": {"machine": {}}},
        **{"policy": {"baselines": "", **policy}, "results": [result]},
    }
    Path(given["--energy-json"]).write_text(json.dumps(results))
    with (folder / "ran").open("a") as file:
        file.write(f"{' '.join(args)}\n")
    return int(outcome == "regressed")


def committed(ref: str, path: str) -> str:
    """Return a file of a commit."""
    shown = ["git", "show", f"{ref}:./{path}"]
    return subprocess.run(shown, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
