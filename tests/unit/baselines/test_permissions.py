"""Whose files are in the way, and what lets another user go on."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

import pytest

from pytest_greenops.baselines.permissions import copy_mode, make_folders, read_fix, write_fix

DENIED = OSError(errno.EACCES, os.strerror(errno.EACCES))
#: A user and a group that no file here has.
STRANGER = 54321
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file whose name is a pattern in a shell."""
    path = tmp_path / "a[b].json"
    path.touch()
    return path


def as_stranger(monkeypatch: pytest.MonkeyPatch, shares_the_group: bool = False) -> None:
    """Be another user than the owner of the files here, in their group or not."""
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    if not shares_the_group:
        monkeypatch.setattr(os, "getegid", lambda: STRANGER)
        monkeypatch.setattr(os, "getgroups", lambda: [STRANGER + 1])


def test_a_file_of_this_user_needs_a_command_of_this_user(path: Path) -> None:
    """It is quoted for a shell."""
    assert read_fix(path) == f"fix the permissions: chmod -R u+rwX '{path}'"


def test_the_first_folder_that_cannot_be_entered_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is below it would be denied too."""
    closed = (path.parent, path.parent.parent)
    asked = []

    def access(part: Path, mode: int) -> bool:
        asked.append(mode)
        return part not in closed

    monkeypatch.setattr(os, "access", access)
    assert read_fix(path) == f"fix the permissions: chmod -R u+rwX {path.parent.parent}"
    assert set(asked) == {os.X_OK}


def test_a_file_of_another_user_of_the_same_group_needs_its_owner(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the owner changes permissions."""
    as_stranger(monkeypatch, shares_the_group=True)
    assert read_fix(path) == f"ask its owner ({ME}): chmod -R g+rwX '{path}'"


def test_a_file_of_another_user_and_group_needs_a_shared_group(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner knows which one."""
    as_stranger(monkeypatch)
    assert read_fix(path) == (
        f"ask its owner ({ME}) for a GROUP that you share: "
        f"chgrp -R GROUP '{path}' && chmod -R g+rwX '{path}'"
    )


def test_an_owner_without_a_name_is_a_number(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That happens in containers."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    as_stranger(monkeypatch, shares_the_group=True)
    assert read_fix(path).startswith(f"ask its owner (user {path.stat().st_uid}): ")


def test_where_owners_are_unknown_all_files_are_this_users(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is gone has none, and Windows knows no users by number."""
    path.unlink()
    assert read_fix(path) == f"fix the permissions: chmod -R u+rwX '{path}'"
    path.touch()
    as_stranger(monkeypatch)
    monkeypatch.delattr(os, "geteuid")
    assert read_fix(path) == f"fix the permissions: chmod -R u+rwX '{path}'"


def test_a_full_disk_is_no_matter_of_owners(path: Path) -> None:
    """The fix is short, since there are several."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert write_fix(path, full) == "free space, fix its permissions"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_file_that_may_not_be_written_needs_its_nearest_folder(
    tmp_path: Path, number: int
) -> None:
    """The folders of a new file are not there yet."""
    said = write_fix(tmp_path / "new" / "x.json", OSError(number, os.strerror(number)))
    assert said == f"fix the permissions: chmod -R u+rwX {tmp_path}"


@pytest.mark.parametrize(("enter", "shut"), [(True, "inner"), (False, "outer")])
def test_a_folder_that_may_not_be_written_or_entered_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enter: bool, shut: str
) -> None:
    """Only the last one must be writable, so none is asked whether those above are."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)

    def access(part: Path, mode: int) -> bool:
        return (enter or part != inner.parent) and not mode & os.W_OK

    monkeypatch.setattr(os, "access", access)
    folder = {"inner": inner, "outer": inner.parent}[shut]
    assert write_fix(inner / "x", DENIED) == f"fix the permissions: chmod -R u+rwX {folder}"


def test_a_sticky_folder_keeps_others_from_replacing_a_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who owns the file may: the owner of the folder lifts that for all."""
    path.parent.chmod(0o1777)
    assert write_fix(path, DENIED).startswith("fix the permissions: ")
    as_stranger(monkeypatch)
    path.parent.chmod(0o777)
    assert write_fix(path, DENIED).startswith(f"ask its owner ({ME}) for a GROUP ")
    path.parent.chmod(0o1777)
    assert write_fix(path, DENIED) == f"ask its owner ({ME}): chmod -t {path.parent}"


def test_new_folders_have_the_mode_of_the_one_above(tmp_path: Path) -> None:
    """Whoever may write there may write in them."""
    tmp_path.chmod(0o2770)
    make_folders(tmp_path / "a" / "b")
    make_folders(tmp_path / "a" / "b")
    modes = [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("a", "a/b")]
    assert modes == [0o2770, 0o2770]


def test_existing_folders_keep_their_mode(tmp_path: Path) -> None:
    """Somebody may have closed one."""
    (tmp_path / "a").mkdir(mode=0o700)
    tmp_path.chmod(0o777)
    make_folders(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
def test_a_replaced_file_keeps_mode_and_group(path: Path, tmp_path: Path) -> None:
    """The model may be missing: then nothing changes."""
    model = tmp_path / "model"
    model.touch()
    model.chmod(0o640)
    os.chown(model, -1, STRANGER)
    owner = path.stat().st_uid
    copy_mode(path, model)
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (owner, STRANGER)
    assert stat.S_IMODE(status.st_mode) == 0o640
    copy_mode(path, tmp_path / "gone")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
