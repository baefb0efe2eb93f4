"""Two users of a group who save into one folder; root can act as each of them."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.baselines import folder_lock
from pytest_greenops.baselines.baseline_file import read
from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.model.errors import BaselineError
from tests.integration.projects import ALONE, INI, conftest, fill
from tests.reliability.test_two_writers import TESTS, check_both, environment
from tests.simulated_host import child
from tests.unit.baselines.test_store import MACHINE, save
from tests.unit.builders import key

ANN, BEN, TEAM = 54_401, 54_402, 54_400


def command_as(user: int) -> list[str]:
    """Return what starts a command as a user of the team.

    It may read what root may, since the interpreter and this repository may be in root's home.
    """
    more = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={TEAM}", *more]


def why_no_users() -> str | None:
    """Return why no process can run as another user here, or None."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "acting as two users needs root on Linux"
    try:
        command = [*command_as(ANN), sys.executable, "-c", ""]
        tried = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "acting as two users needs setpriv of util-linux"
    return f"cannot act as another user: {tried.stderr.strip()}" if tried.returncode else None


NO_USERS = why_no_users()
pytestmark = pytest.mark.skipif(NO_USERS is not None, reason=str(NO_USERS))


@pytest.fixture
def shared() -> Iterator[Path]:
    """Return a folder of the team that every user can reach: new files in it are the team's."""
    folder = Path(tempfile.mkdtemp(prefix="greenops-users-"))
    os.chown(folder, ANN, TEAM)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(folder)


def become(user: int, umask: int = 0o002) -> None:
    """Let this process, which `child.run` has made, be a user of the team."""
    os.setgroups([TEAM])
    os.setgid(user)
    os.setuid(user)
    os.umask(umask)


def save_as(user: int, umask: int, folder: str) -> str | None:
    """Save a baseline as a user, in a child process; return the error, if any."""
    become(user, umask)
    store = Store(Path(folder), MACHINE)
    try:
        store.check_writable()
        save(store)
    except BaselineError as error:
        return str(error)
    return None


def killed_as(user: int, umask: int, folder: str) -> None:
    """Take the lock as a user, begin a temporary file, and be killed, in a child of a child."""
    if os.fork() == 0:
        become(user, umask)
        with folder_lock.locked(Path(folder)) as temporaries:
            (temporaries / "half").write_text("{")
            os.kill(os.getpid(), signal.SIGKILL)
    os.wait()


def test_two_users_lose_nothing_of_each_other(shared: Path) -> None:
    """Two runs save at once, and each replaces files of the other; both can go on with them."""
    fill(shared, {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS})
    running = []
    for run, user in (("one", ANN), ("two", BEN)):
        options = ("-p", "greenops", "--energy-save", *ALONE, "-p", "no:cacheprovider")
        running.append(
            subprocess.Popen(
                [*command_as(user), sys.executable, "-B", "-m", "pytest", *options],
                cwd=shared,
                env=environment(shared, run) | {"HOME": str(shared)},
                umask=0o002,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    check_both(shared, running)
    modes: dict[bool, set[Any]] = {True: set(), False: set()}
    owners = set()
    for path in (shared / "baselines").rglob("*"):
        status = path.stat()
        modes[path.is_dir()].add((status.st_gid, oct(stat.S_IMODE(status.st_mode))))
        owners.add(status.st_uid)
    assert modes == {True: {(TEAM, "0o2775")}, False: {(TEAM, "0o664")}}
    assert owners == {ANN, BEN}


@pytest.mark.parametrize("umask", [0o002, 0o022])
def test_each_replaces_the_file_of_the_other(shared: Path, umask: int) -> None:
    """With the common umask too: new folders have the mode of the shared one."""
    for user in (ANN, BEN, ANN):
        assert child.run(save_as, user, umask, str(shared)) is None
        [path] = survey(shared).baselines
        assert (path.stat().st_uid, path.stat().st_gid) == (user, TEAM)
    assert read(path).test == key()


def test_a_replaced_file_keeps_group_and_mode(shared: Path) -> None:
    """Where the folder does not give its group to new files, the file that is replaced does."""
    shared.chmod(0o775)
    child.run(save_as, ANN, 0o002, str(shared))
    [path] = survey(shared).baselines
    os.chown(path, ANN, TEAM)
    path.chmod(0o640)
    assert child.run(save_as, BEN, 0o022, str(shared)) is None
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (BEN, TEAM)
    assert stat.S_IMODE(status.st_mode) == 0o640


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_a_lock_left_by_another_user_blocks_nobody(shared: Path, umask: int) -> None:
    """The system released it when that process was killed; what it left is removed."""
    child.run(killed_as, ANN, umask, str(shared))
    assert (shared / ".saving/half").exists()
    assert child.run(save_as, BEN, 0o002, str(shared)) is None
    assert sorted(os.listdir(shared / ".saving")) == [".gitignore", "lock"]


@pytest.mark.parametrize(
    ("mode", "group", "fix"),
    [
        (0o755, TEAM, "ask its owner (user 54401): chmod -R g+rwX {0}"),
        (
            0o775,
            ANN,
            "ask its owner (user 54401) for a GROUP that you share: "
            "chgrp -R GROUP {0} && chmod -R g+rwX {0}",
        ),
        (0o1777, TEAM, "ask its owner (user 54401): chmod -t {0}"),
    ],
    ids=["mode", "group", "sticky"],
)
def test_a_folder_that_the_other_may_not_write_is_refused(
    shared: Path, mode: int, group: int, fix: str
) -> None:
    """One line names the folder, its owner and the command; the baseline stays as it is."""
    child.run(save_as, ANN, 0o002, str(shared))
    [path] = survey(shared).baselines
    before = path.read_bytes()
    os.chown(path.parent, ANN, group)
    path.parent.chmod(mode)
    said = child.run(save_as, BEN, 0o002, str(shared))
    assert said.startswith(f"{path}: cannot be written (")
    assert said.endswith(
        f"): {fix.format(path.parent)}, or use another folder: --energy-baselines=DIR"
    )
    assert path.read_bytes() == before


def test_a_file_that_the_other_may_not_read_is_refused(shared: Path) -> None:
    """A user whose umask hides files from others: it is not taken for a missing baseline."""
    child.run(save_as, ANN, 0o077, str(shared))
    [path] = survey(shared).baselines
    said = child.run(save_as, BEN, 0o002, str(shared))
    assert said == (
        f"{path}: cannot be read (Permission denied): "
        f"ask its owner (user {ANN}): chmod -R g+rwX {path}"
    )
    assert child.run(save_as, ANN, 0o077, str(shared)) is None
