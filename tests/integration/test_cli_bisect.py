"""`pytest-greenops bisect GOOD [BAD] -- TEST`, with made-up measurements in real repositories."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_greenops.model.run_options import ONLY_VARIABLE
from tests.integration.bisects import JOULES, ROOT, Place, ends
from tests.integration.projects import INI, conftest, fill
from tests.unit.bisection.histories import git, make_dirty, state


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    """Return a repository with the first commit."""
    return Place(tmp_path, monkeypatch, capsys)


def test_finds_the_commit(place: Place) -> None:
    """Each step is a line; then come a table, the commit and its own change; all is as before."""
    place.fill()
    make_dirty(place.repository)
    before = state(place.repository)
    code, out, err = place.run(place.shas[0], "--", "test_it.py::test_a", "-k", "a")
    assert (code, err) == (0, "")
    short = place.short
    assert out.splitlines() == [
        f"check  {short(6)} Change 6: +16 % (95 % CI +15…+17 %), 7 pairs: bad",
        "follows test_it.py::test_a",
        f"1/3  {short(3)} Change 3: +1.0 % (95 % CI +0.0…+2.0 %), 7 pairs: good",
        f"2/3  {short(5)} Change 5: +15 % (95 % CI +14…+16 %), 7 pairs: bad",
        f"3/3  {short(4)} Change 4: +15 % (95 % CI +14…+16 %), 7 pairs: bad",
        f"measured against GOOD ({short(0)}), the oldest commit first:",
        f"  {short(3)}  2026-11-04  good  +1.0 % (95 % CI +0.0…+2.0 %), 7 pairs",
        f"  {short(4)}  2026-11-05  bad   +15 % (95 % CI +14…+16 %), 7 pairs",
        f"  {short(5)}  2026-11-06  bad   +15 % (95 % CI +14…+16 %), 7 pairs",
        f"  {short(6)}  2026-11-07  bad   +16 % (95 % CI +15…+17 %), 7 pairs",
        f"found: {short(4)} Change 4",
        "       Ada Lovelace, 2026-11-05",
        f"       +14 % (95 % CI +13…+15 %), 7 pairs, against its parent {short(3)}",
        "energy: 5 A/B runs",
    ]
    assert state(place.repository) == before
    assert place.left() == []


def test_finds_nothing_where_bad_uses_no_more(place: Place) -> None:
    """The answer says what was found, and that uncommitted changes do not count."""
    place.fill(("1.0", "1.004"))
    (place.repository / "joules.txt").write_text("1.3")
    before = state(place.repository)
    code, out, err = place.run(place.shas[0], "--", "test_it.py")
    assert (code, err) == (1, "")
    assert " ".join(out.split()) == (
        f"BAD ({place.short(2)}) does not use more energy than GOOD ({place.short(0)}): "
        "+0.4 % (95 % CI -0.6…+1.4 %), 7 pairs; your uncommitted changes are not part of HEAD"
    )
    assert state(place.repository) == before


def test_ends_with_a_range_where_tests_fail(place: Place) -> None:
    """A commit whose test fails is skipped, with the reason; what is left is listed."""
    place.fill(("1.0", "ValueError: no", "ValueError: no", "1.15"))
    before = state(place.repository)
    code, out, err = place.run(place.shas[0], "--", "test_it.py")
    assert (code, err) == (1, "")
    short, lines = place.short, out.splitlines()
    assert f"1/2  {short(2)} Change 2: test_it.py::test_a - ValueError: no: skip" in lines
    assert lines[-5:] == [
        "not found: the first bad commit is one of 3, 2 of which could not be measured:",
        f"  {short(4)} 2026-11-05 Change 4",
        f"  {short(3)} 2026-11-04 Change 3",
        f"  {short(2)} 2026-11-03 Change 2",
        "energy: 4 A/B runs",
    ]
    assert state(place.repository) == before
    assert place.left() == []


INTERRUPTED = (
    "pytest-greenops: interrupted: the same command continues the bisect, git bisect reset ends it"
)


def test_an_interrupted_bisect_continues(place: Place) -> None:
    """Ctrl-C ends the step's processes, leaves the bisect alone, and says how to go on."""
    place.fill((*JOULES[:4], "wait 1.15", "1.16"))
    make_dirty(place.repository)
    before = state(place.repository)
    (place.fake / "hold").touch()
    process = place.start(place.shas[0], "--", "test_it.py")
    step = place.wait_for_a_step()
    os.killpg(process.pid, signal.SIGINT)  # what the terminal does: git and all get it
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()) == (130, [INTERRUPTED])
    assert len(out.splitlines()) == 3
    assert ends(step)
    assert place.left() == []
    assert state(place.repository, but=["refs/bisect/"]) == before
    assert "Traceback" not in out + err

    (place.fake / "hold").unlink()
    code, out, err = place.run(place.shas[0], "--", "test_it.py")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "a bisect is in progress from the same GOOD and BAD: continues"
    assert lines[1].startswith(f"2/3  {place.short(5)} Change 5: +15 %")
    assert f"found: {place.short(4)} Change 4" in lines
    assert lines[-1] == "energy: 3 A/B runs"
    assert state(place.repository) == before


@pytest.mark.skipif(sys.platform != "linux", reason="a step ends with its parent on Linux")
def test_a_killed_bisect_continues(place: Place) -> None:
    """SIGKILL leaves the repository as it was, and no process; the next run removes the tree."""
    place.fill((*JOULES[:4], "wait 1.15", "1.16"))
    make_dirty(place.repository)
    before = state(place.repository)
    (place.fake / "hold").touch()
    process = place.start(place.shas[0], "--", "test_it.py")
    step = place.wait_for_a_step()
    process.kill()
    process.communicate(timeout=60)
    assert ends(step)
    there = state(place.repository, but=["refs/bisect/"])
    assert {**there, "worktrees": ""} == {**before, "worktrees": ""}

    (place.fake / "hold").unlink()
    code, out, err = place.run(place.shas[0], "--", "test_it.py")
    assert (code, err) == (0, "")
    assert f"found: {place.short(4)} Change 4" in out.splitlines()
    assert place.left() == []
    assert state(place.repository) == before


def test_an_interrupted_check_leaves_no_bisect(place: Place) -> None:
    """There is nothing to continue yet."""
    place.fill(("1.0", "wait 1.15"))
    before = state(place.repository)
    (place.fake / "hold").touch()
    process = place.start(place.shas[0], "--", "test_it.py")
    place.wait_for_a_step()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "pytest-greenops: interrupted\n")
    assert state(place.repository) == before


def test_another_bisect_is_refused(place: Place) -> None:
    """Neither a bisect of the user's own nor one of another test is touched."""
    place.fill((*JOULES[:4], "wait 1.15", "1.16"))
    good = place.shas[0]
    git(place.repository, "bisect", "start", "HEAD", good)
    log = git(place.repository, "bisect", "log")
    assert place.refused(good, "main", "--", "test_it.py") == (
        "a bisect of yours is in progress here: end it with git bisect reset"
    )
    assert git(place.repository, "bisect", "log") == log
    git(place.repository, "bisect", "reset")

    (place.fake / "hold").touch()
    process = place.start(good, "--", "test_it.py")
    place.wait_for_a_step()
    process.terminate()
    assert process.communicate(timeout=60)[1].splitlines() == [INTERRUPTED]
    assert process.returncode == 128 + signal.SIGTERM
    log = git(place.repository, "bisect", "log")
    assert place.refused(good, "--", "test_other.py") == (
        f"another bisect is in progress here: pytest-greenops bisect {good[:10]} "
        f"{place.shas[-1][:10]} -- test_it.py continues it, git bisect reset ends it"
    )
    top, place.repository = place.repository, place.repository / "folder"
    place.repository.mkdir()
    assert "-- test_it.py in . continues it" in place.refused(good, "--", "test_it.py")
    assert git(top, "bisect", "log") == log


def test_mistakes_are_one_line(place: Place) -> None:
    """Each names what is wrong and the fix, and starts nothing."""
    place.fill(("1.0",))
    git(place.repository, "checkout", "--quiet", "-b", "side", place.shas[0])
    place.shas.append(place.commit("1.0", "Side"))
    first, main, side = map(place.short, (0, 1, 2))
    tests = ("--", "test_it.py")
    assert place.refused("main") == (
        "no test to measure: pytest-greenops bisect GOOD [BAD] -- tests/test_x.py::test_y"
    )
    assert place.refused("main", "side", *tests) == (
        f"main is not an ancestor of side: use the commit where they parted: {first}"
    )
    assert place.refused("side", first, *tests) == f"{first} is an ancestor of side: exchange them"
    assert place.refused("side", "side", *tests) == f"side and side are the same commit ({side})"
    assert (
        place.refused("mian", *tests) == "'mian': no such branch, tag or commit: did you mean main?"
    )
    extra = place.refused(main, "main", "extra", *tests)
    where = "pytest-greenops bisect ... -- extra"
    assert extra.startswith(f"extra: arguments of pytest come after --: {where}")


def test_runs_in_the_users_folder_with_absolute_paths_moved(place: Place) -> None:
    """A path below the repository means the same file in the tree of a step."""
    folder = place.repository / "sub"
    folder.mkdir()
    place.repository = folder
    place.shas = [place.commit("1.0", "In a folder")]
    place.fill(("1.15",))
    code, _, err = place.run(
        place.shas[0], "--", f"{folder}/test_it.py::test_a", f"--rootdir={folder}"
    )
    assert (code, err) == (0, "")
    test, root, *_ = (place.fake / "ran").read_text().split()
    assert test.startswith(str(place.temporary))
    assert test.endswith("/sub/test_it.py::test_a")
    assert root == f"--rootdir={Path(test.partition('::')[0]).parent}"


def test_measures_the_tests_of_the_working_tree_on_request(place: Place) -> None:
    """With `--energy-ab-tests=here` each commit has the tests that are in the working tree."""
    place.fill(("1.0",))
    (place.repository / "test_it.py").write_text("1.2")
    good = place.shas[0]
    assert place.run(good, "--", "test_it.py")[0] == 1
    code, out, _ = place.run(good, "--", "test_it.py", "--energy-ab-tests", "here")
    assert (code, out.splitlines()[0]) == (
        0,
        f"check  {place.short(1)} Change 1: +20 % (95 % CI +19…+21 %), 7 pairs: bad",
    )


def test_builds_the_tree_of_each_commit(place: Place) -> None:
    """`--energy-ab-setup` runs in it, in an environment of its own."""
    place.fill(("1.0",))
    command = '--energy-ab-setup=echo 1.3 > joules.txt && test -n "$VIRTUAL_ENV"'
    code, out, err = place.run(place.shas[0], "--", "test_it.py", command)
    assert (code, err) == (0, "")
    assert "+30 %" in out
    failing = place.refused(place.shas[0], "--", "test_it.py", "--energy-ab-setup=exit 3")
    assert failing.startswith(f"BAD ({place.short(1)}): --energy-ab-setup='exit 3': exit code 3")


@pytest.mark.parametrize("where", ["pytest.ini", "PYTEST_ADDOPTS"])
def test_builds_what_the_configuration_says(
    place: Place, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setup and the tests of the ini file or the environment are those of each step."""
    command = "echo 1.3 > joules.txt"
    if where == "pytest.ini":
        ini = f"[pytest]\nenergy_ab_setup = {command}\nenergy_ab_tests = here\n"
        (place.repository / "pytest.ini").write_text(ini)
    else:
        monkeypatch.setenv(where, f"--energy-ab-setup='{command}' --energy-ab-tests=here")
    good, bad = place.commit("1.0", "Configured"), place.commit("1.0", "Next")
    (place.repository / "test_it.py").write_text("1.2")
    code, out, err = place.run(good, bad, "--", "test_it.py")
    assert (code, err) == (0, "")
    assert "Next: +56 %" in out


TESTS = """
import pytest

class TestA:
    @pytest.mark.parametrize("size", [1, 2])
    def test_a(self, size):
        pass

def test_b():
    pass
"""


@pytest.mark.parametrize(
    ("followed", "ran"),
    [("test_it.py::TestA::test_a[2]", "1 passed, 2 deselected"), (None, "3 passed")],
)
def test_a_step_runs_the_followed_test_alone(
    tmp_path: Path, followed: str | None, ran: str
) -> None:
    """Other tests are deselected, whatever the arguments select."""
    (tmp_path / "test_it.py").write_text(TESTS)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    if followed is not None:
        environ[ONLY_VARIABLE] = followed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_greenops.hooks.only_test"]
    finished = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert ran in finished.stdout


def test_a_subject_cannot_act_on_the_terminal(place: Place) -> None:
    """Control characters of a commit's subject are shown as escapes."""
    place.shas.append(place.commit("1.3", "Clear \x1b[2J the screen"))
    code, out, _ = place.run(place.shas[0], "--", "test_it.py")
    assert code == 0
    assert f"found: {place.short(1)} Clear \\x1b[2J the screen" in out


@pytest.mark.real_time
def test_compares_for_real_what_each_tree_imports(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the project is installed from the working tree, each side imports its own commit."""
    for name in ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(place.repository)]))
    project = {
        "pytest.ini": INI,
        "conftest.py": conftest("noise=0.01, seed=os.getpid()"),
        "spent.py": "J = float(open(__file__.replace('spent.py', 'joules.txt')).read())",
        "test_it.py": "from spent import J\ndef test_a(energy, spend):\n    energy(spend, J)",
    }
    fill(place.repository, project)
    place.fill(("1.0", "1.2"))
    (place.repository / "joules.txt").write_text("0.1")
    code, out, err = place.run(place.shas[1], "--", "test_it.py", "-p", "greenops")
    assert (code, err) == (0, "")
    assert re.search(rf"^found: {place.short(2)} Change 2$", out, re.MULTILINE)
    assert re.search(r"^       \+(19|20|21) % .* against its parent", out, re.MULTILINE)
    assert out.endswith("energy: 1 A/B run\n")
    assert place.left() == []
