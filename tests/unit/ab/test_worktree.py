"""A worktree of a commit: what is in it, what it leaves untouched, and how it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_greenops.ab import owner
from pytest_greenops.ab.worktree import PREFIX, Worktree, remove_stale
from pytest_greenops.model.errors import OptionError
from tests.unit.ab.repositories import Repository
from tests.unit.builders import message_of

#: Makes a worktree, says where, and waits.
OWNER = """
import sys, tempfile
from pathlib import Path
from pytest_greenops.ab.worktree import Worktree
tempfile.tempdir = sys.argv[3]
worktree = Worktree(Path(sys.argv[1]), sys.argv[2])
worktree.make()
print(worktree.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worktree(repository: Repository) -> Iterator[Worktree]:
    """Return a worktree of the first commit, not made yet."""
    worktree = Worktree(repository.folder, repository.first)
    yield worktree
    worktree.remove()


def started_owner(repository: Repository) -> tuple[subprocess.Popen[str], Path]:
    """Return a process that has made a worktree, and the folder of that."""
    arguments = [str(repository.folder), repository.first, tempfile.gettempdir()]
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_tree_has_the_files_of_the_commit(repository: Repository, worktree: Worktree) -> None:
    """A dirty working tree, its index, HEAD and stash stay exactly as they are."""
    repository.write({"code.py": "stashed\n"})
    repository.git("stash")
    repository.commit({"code.py": "second\n", "later.py": ""})
    repository.write({"staged.py": "staged\n", "code.py": "changed\n", "untracked.py": ""})
    repository.git("add", "staged.py")
    before = repository.state
    worktree.make()
    assert sorted(path.name for path in worktree.tree.iterdir()) == [".git", "code.py"]
    assert worktree.tree.joinpath("code.py").read_text() == "first\n"
    assert worktree.tree.name == repository.folder.name
    assert worktree.notes == []
    assert repository.state == before
    worktree.remove()
    assert repository.state == before


def test_removal_leaves_nothing_behind(repository: Repository, worktree: Worktree) -> None:
    """Neither the folder nor what git notes of it is left; a second removal does nothing."""
    worktree.make()
    assert len(repository.worktrees) == 2
    read_only = worktree.tree / "made/by/a/test"
    read_only.mkdir(parents=True)
    read_only.joinpath("file").touch()
    read_only.chmod(0o500)
    for _ in range(2):
        worktree.remove()
        assert not worktree.folder.exists()
        assert repository.worktrees == [str(repository.folder)]
        assert not repository.folder.joinpath(".git/worktrees").exists()


def test_a_worktree_that_was_never_made_can_be_removed(worktree: Worktree) -> None:
    """Whatever stops a run, its last step may call this."""
    worktree.remove()
    assert not worktree.folder.exists()


def test_a_failed_checkout_leaves_nothing_behind(repository: Repository) -> None:
    """The error is one line with git's reason."""
    worktree = Worktree(repository.folder, "0" * 40)
    message = message_of(OptionError, worktree.make)
    assert message.startswith("no worktree of 0000000000 could be made: ")
    assert "\n" not in message
    assert not worktree.folder.exists()
    assert not repository.folder.joinpath(".git/worktrees").exists()


def test_an_interrupted_checkout_leaves_nothing_behind(
    repository: Repository, worktree: Worktree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it when it is half made."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_greenops.ab.parts.submodules.check_out", interrupt)
    with pytest.raises(KeyboardInterrupt):
        worktree.make()
    assert not worktree.folder.exists()
    assert repository.worktrees == [str(repository.folder)]


def test_hooks_and_settings_of_the_user_do_not_run(repository: Repository, tmp_path: Path) -> None:
    """A hook after checkout, and a filter of Git LFS, would run for each file."""
    hook = repository.folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    commit = repository.commit({".gitattributes": "*.bin filter=lfs\n", "file.bin": "text\n"})
    repository.git("config", "filter.lfs.process", f"touch {tmp_path}/ran")
    repository.git("config", "filter.lfs.smudge", f"touch {tmp_path}/ran")
    repository.git("config", "filter.lfs.required", "true")
    worktree = Worktree(repository.folder, commit)
    worktree.make()
    assert worktree.tree.joinpath("file.bin").read_text() == "text\n"
    worktree.remove()
    assert not tmp_path.joinpath("ran").exists()


def test_a_repository_that_cannot_be_written_to(repository: Repository) -> None:
    """The tree then reads its objects only, and goes without a trace."""
    blocked = repository.folder / ".git/worktrees"
    blocked.touch()
    worktree = Worktree(repository.folder, repository.first)
    worktree.make()
    found = worktree.tree.joinpath("code.py").read_text()
    worktree.remove()
    assert found == "first\n"
    assert not worktree.folder.exists()
    assert blocked.is_file()


def test_a_sparse_checkout_stays_sparse(repository: Repository) -> None:
    """The tree has the same part of the repository as the user's."""
    commit = repository.commit({"wanted/code.py": "", "unwanted/large.py": ""})
    repository.git("sparse-checkout", "set", "wanted")
    before = repository.state
    worktree = Worktree(repository.folder, commit)
    worktree.make()
    found = sorted(path.name for path in worktree.tree.iterdir())
    worktree.remove()
    assert found == [".git", "code.py", "wanted"]
    assert repository.state == before


def test_the_users_tree_may_be_a_worktree_itself(repository: Repository, tmp_path: Path) -> None:
    """Its administration stays when ours is removed."""
    users = tmp_path / "of the user"
    repository.git("worktree", "add", "--quiet", str(users), "-b", "topic")
    worktree = Worktree(users, repository.first)
    worktree.make()
    assert worktree.tree.joinpath("code.py").is_file()
    worktree.remove()
    assert repository.worktrees == [str(repository.folder), str(users)]


@pytest.mark.parametrize("name", ["my project", "prøject", "x'y$(z)"])
def test_any_name_of_a_repository_works(made_once: Repository, tmp_path: Path, name: str) -> None:
    """Blanks, quotes and letters beyond ASCII are names as others."""
    repository = Repository(tmp_path / name, made_once)
    worktree = Worktree(repository.folder, repository.first)
    worktree.make()
    assert worktree.tree.joinpath("code.py").is_file()
    worktree.remove()
    assert len(repository.worktrees) == 1


def test_a_linked_temporary_folder(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree has its real path, as on systems where /tmp is a link."""
    tmp_path.joinpath("real").mkdir()
    tmp_path.joinpath("link").symlink_to("real")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    worktree = Worktree(repository.folder, repository.first)
    assert worktree.folder.parent == tmp_path / "real"
    worktree.make()
    worktree.remove()
    assert len(repository.worktrees) == 1


def test_the_tree_is_never_in_the_repository(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A temporary folder there would make its files those of the user's tree."""
    inside = repository.folder / "tmp"
    inside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(inside))
    worktree = Worktree(repository.folder, repository.first)
    assert worktree.folder.parent == repository.folder.parent


def test_the_worktree_of_a_killed_process_is_removed_by_the_next_one(
    repository: Repository,
) -> None:
    """SIGKILL leaves folder and administration behind; a living owner's stay."""
    process, folder = started_owner(repository)
    living, kept = started_owner(repository)
    with process, living:
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            assert remove_stale(repository.folder) == [folder]
            assert not folder.exists()
            assert kept.is_dir()
            assert repository.worktrees == [str(repository.folder), str(kept / "project")]
            assert remove_stale(repository.folder) == []
        finally:
            living.kill()
    assert remove_stale(repository.folder) == [kept]
    assert repository.worktrees == [str(repository.folder)]


def test_a_reused_process_id_is_no_owner(repository: Repository, worktree: Worktree) -> None:
    """A process that started at another time did not make the folder."""
    mine = worktree.folder
    pid, started, rest = mine.name.removeprefix(PREFIX).split("-", 2)
    stale = mine.with_name(f"{PREFIX}{pid}-{int(started) - 1}-{rest}")
    worktree.folder, worktree.tree = stale, stale / worktree.tree.name
    worktree.make()
    mine.mkdir()
    assert remove_stale(repository.folder) == [stale]
    assert mine.is_dir()
    mine.rmdir()


def test_only_old_folders_of_another_machine_or_container_are_removed(
    repository: Repository,
) -> None:
    """Its process ids say nothing here, and it may still run."""
    new, old = (Path(tempfile.gettempdir(), f"{PREFIX}1-1-0000000{i}-0") for i in (1, 2))
    new.mkdir()
    old.mkdir()
    long_ago = old.stat().st_mtime - owner.OLD_S - 60
    os.utime(old, (long_ago, long_ago))
    assert remove_stale(repository.folder) == [old]
    assert new.is_dir()


def test_worktrees_of_the_user_are_never_removed(repository: Repository, tmp_path: Path) -> None:
    """Neither one that exists nor one whose folder is gone, which git keeps for a while."""
    for name in ("existing", "gone"):
        repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / name))
    tmp_path.joinpath("gone").rename(tmp_path / "moved")
    assert remove_stale(repository.folder) == []
    assert len(repository.worktrees) == 3
