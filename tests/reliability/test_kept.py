"""What a process keeps of a run of pytest that is over; `make soak` watches that for hours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Estimates of so little are not judged: the end of the run advises a command.
RUNS = """
import gc
import pytest

for _ in range(5):
    pytest.main(["-q", "-p", "no:rerunfailures", *{options!r}])
gc.collect()
print("kept:", sum(type(each) is pytest.Config for each in gc.get_objects()))
"""


@pytest.mark.parametrize("options", [["-p", "no:greenops"], ["--energy"], ["--energy-save"]])
def test_a_run_in_a_process_is_not_kept(tmp_path: Path, options: list[str]) -> None:
    """Of five runs in one process two are left: pytest keeps the first, which imported modules."""
    test = "def test_it(request):\n    request.getfixturevalue('energy')(sum, range(100))\n"
    if "no:greenops" in options:
        test = "def test_it(): pass\n"
    (tmp_path / "test_it.py").write_text(test)
    ini = "[pytest]\nenergy_max_time = 0.05 s\nenergy_max_rounds = 2\nenergy_min_rounds = 2\n"
    (tmp_path / "pytest.ini").write_text(ini)
    command = [sys.executable, "-c", RUNS.format(options=options)]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert int(output.rpartition("kept: ")[2]) <= 2, output
