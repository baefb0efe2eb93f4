"""Names of tests as paths: no file of theirs is outside of the folder of baselines.

Names that act in reports are in `tests/integration/test_hostile_names.py`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.model.baseline import TestKey
from tests.integration.projects import ALONE, Project
from tests.reliability.writers import everything

FOLDER = Path("/project/baselines")
#: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
FORBIDDEN = re.compile(r'[\0-\x1f<>:"/\\|?*]')
ODD = st.sampled_from(
    ["..", ".", "/", "\\", "\0", "~", "C:", "con", "NUL", "lpt1", "COM²", "a" * 300, " ", "\n", "é"]
)
NAMES = st.one_of(st.text(), st.lists(ODD | st.text(max_size=3)).map("".join))
#: Parts of a path: no file system has a NUL in one.
MODULES = st.lists(ODD | st.text(max_size=5)).map(lambda parts: "/".join(parts).replace("\0", ""))


@settings(max_examples=2000, derandomize=True, database=None, deadline=None)
@given(module=MODULES, name=NAMES, param=st.none() | NAMES)
@example(module="../../etc/passwd", name="..", param=None)
@example(module="/etc/passwd", name="/etc/passwd", param=None)
@example(module="_up/..", name="x" * 10_000, param="\0")
@example(module="a.py", name="con", param=None)
@example(module="a.py", name="", param=None)
@example(module="a.py", name="a.", param="/../../..")
def test_no_file_is_outside(module: str, name: str, param: str | None) -> None:
    """The file of any test is below its machine, and its name valid on every file system."""
    test = TestKey(module, name, param)
    for part, path in (
        ("epyc-1a2b3c4d", Store(FOLDER, "epyc-1a2b3c4d").path(test)),
        ("work", WorkStore(FOLDER).path(test)),
    ):
        assert os.path.normpath(path) == str(path)
        assert (FOLDER / part) in path.parents
        file = path.name
        assert not FORBIDDEN.search(file)
        assert not RESERVED.fullmatch(file)
        assert file.isascii()
        assert len(file) <= 200
        assert not file.startswith(".")
        assert file.endswith(".json")


@settings(max_examples=500, derandomize=True, database=None, deadline=None)
@given(one=NAMES, other=NAMES)
@example(one="con", other="CON")
@example(one="", other="_")
def test_two_names_have_two_files(one: str, other: str) -> None:
    """Also where the case of letters does not count."""
    store = Store(FOLDER, "epyc-1a2b3c4d")
    paths = {str(store.path(TestKey("a.py", name))).lower() for name in (one, other)}
    assert len(paths) == len({one, other})


IDS = (
    *("..", "../../../../x", "/etc/passwd", "~/x", "a\0b", "CON", "nul.txt", "C:\\x", "\\\\a\\b"),
    *("-rf", "$(touch x)", "a\nb", "caf\udce9", "x" * 10_000, ".", " "),
)
SUITE = f"""
import pytest

@pytest.mark.parametrize("n", range({len(IDS)}), ids={IDS!r})
def test_it(energy, work, n):
    energy(work)
"""


def test_a_run_writes_below_its_folder_only(project: Project) -> None:
    """Tests with such ids have a baseline each, which a second run finds."""
    project.write("sub/test_it.py", SUITE)
    before = set(everything(project.path.parent))
    ran = project.save(*ALONE, "-p", "no:cacheprovider")
    assert ran.counts["baselines saved"] == len(IDS)
    ours = f"{project.path.name}/baselines"
    made = {
        name
        for name in set(everything(project.path.parent)) - before
        if not re.search(r"runpytest-|__pycache__|/results\.json$", name)
    }
    assert {name for name in made if name != ours and not name.startswith(f"{ours}/")} == set()
    assert len(project.files()) == len(IDS)
    again = project.energy(*ALONE, "-p", "no:cacheprovider")
    assert again.counts["passed"] == len(IDS)
