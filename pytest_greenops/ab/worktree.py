"""A git worktree of a commit in a temporary folder: made, and removed on every way out."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_greenops.ab import owner
from pytest_greenops.ab.git import GitError, common_folder, git
from pytest_greenops.ab.parts import large_files, lent, submodules, version_files
from pytest_greenops.model.errors import OptionError

#: Folders with this name are ours; the rest of the name says whose.
PREFIX = "pytest-greenops-ab-"
#: Where to make folders, with mode 0700, if the system's temporary folder lies in the repository.
_FURTHER_PLACES = (Path("/tmp"), Path("/var/tmp"))  # nosec B108


class Worktree:
    """A git worktree of a commit, outside of the repository.

    folder  the temporary folder of this comparison, which `remove` removes with all that is in it
    tree    the worktree in it; it has the name of the repository's folder, which a package that is
            the repository itself needs
    notes   what could not be checked out, one line each
    """

    def __init__(self, repository: Path, commit: str, parent: Path | None = None) -> None:
        """Choose where the tree will be; nothing is made yet.

        repository  the root of the user's working tree
        parent      where to make the folder; None takes the system's temporary folder, or another
                    one if that lies in the repository
        """
        self._repository = repository.resolve()
        self._commit = commit
        self._common = Path(
            git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir")
        )
        place = _place_outside(self._repository) if parent is None else parent.resolve()
        self.folder = place / f"{PREFIX}{owner.mark()}-{os.urandom(4).hex()}"
        self.tree = self.folder / (self._repository.name or "tree")
        self.notes: list[str] = []

    def make(self) -> None:
        """Check the commit out: sparse as the user's tree, submodules and large files from here.

        Raises `OptionError` if that fails; then nothing is left of it.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            self._check_out()
            users, common = self._repository, self._common
            self.notes += submodules.check_out(users, common, self.tree, self._commit)
            self.notes += large_files.put(common, self.tree)
            version_files.copy(users, self.tree)
        except BaseException as error:
            self.remove()
            if isinstance(error, (GitError, OSError)):
                said = error.last_line if isinstance(error, GitError) else error
                raise OptionError(
                    f"no worktree of {self._commit[:10]} could be made: {said}"
                ) from None
            raise

    def remove(self) -> None:
        """Remove the folder and what git notes of the worktree, whole or half-made; never raise."""
        _remove(self.folder, self._common)

    def _check_out(self) -> None:
        add = ("worktree", "add", "--quiet", "--detach", "--no-checkout", "--lock")
        try:
            git(self._repository, *add, str(self.tree), self._commit)
        except GitError as error:
            self._check_out_lent(error)
            return
        own = Path(git(self.tree, "rev-parse", "--absolute-git-dir"))
        own.joinpath("locked").write_text("pytest-greenops compares with this tree\n")
        git(self.tree, *self._sparse(own), "reset", "--quiet", "--hard", "--no-recurse-submodules")

    def _check_out_lent(self, error: GitError) -> None:
        """Make the tree a repository of its own: nothing may be written into the user's.

        A container may have the project on a read-only file system. Raises the error of before if
        this fails too.
        """
        try:
            self.tree.mkdir(exist_ok=True)
            lent.check_out(self._common, self.tree, self._commit)
        except GitError:
            raise error from None

    def _sparse(self, own: Path) -> list[str]:
        """Return git's settings for a sparse checkout if the user's tree has one, else nothing."""
        settings = []
        for name in ("core.sparseCheckout", "core.sparseCheckoutCone"):
            with suppress(GitError):
                value = git(self._repository, "config", "--type=bool", "--get", name)
                settings += ["-c", f"{name}={value}"]
        if "core.sparseCheckout=true" not in settings:
            return []
        users = Path(
            git(self._repository, "rev-parse", "--absolute-git-dir"), "info/sparse-checkout"
        )
        if users.is_file():
            own.joinpath("info").mkdir(exist_ok=True)
            shutil.copyfile(users, own / "info/sparse-checkout")
        return settings


def remove_stale(repository: Path) -> list[Path]:
    """Remove worktrees that processes left behind which ended without removing theirs.

    Return the folders that were removed.
    """
    common = common_folder(repository)
    noted = {_folder_of(each) for each in _administration(common)}
    places = {Path(tempfile.gettempdir()), *_places(repository)}
    found = {each for place in places for each in _listed(place)}
    stale = sorted(each for each in {*noted, *found} if each is not None and _is_stale(each))
    for folder in stale:
        _remove(folder, common)
    return stale


def _place_outside(repository: Path) -> Path:
    """Return a temporary folder outside of the repository, whose files the tree must not be."""
    for place in _places(repository):
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place
    raise OptionError(f"a temporary folder outside of {repository} is needed: set TMPDIR to one")


def _places(repository: Path) -> list[Path]:
    repository = repository.resolve()
    temporary = Path(tempfile.gettempdir()).resolve()
    usual = [temporary, *_FURTHER_PLACES, repository.parent]
    return [each for each in usual if each != repository and repository not in each.parents]


def _listed(place: Path) -> list[Path]:
    try:
        names = os.listdir(place)
    except OSError:
        return []
    return [place.resolve() / name for name in names if name.startswith(PREFIX)]


def _administration(common: Path) -> Iterator[Path]:
    """Yield the folders in which git notes a worktree of ours."""
    with suppress(OSError):
        for each in sorted(common.joinpath("worktrees").iterdir()):
            if _folder_of(each) is not None:
                yield each


def _folder_of(administration: Path) -> Path | None:
    """Return our folder with the worktree that git notes here, or None for a user's worktree."""
    with suppress(OSError):
        tree = os.fsdecode(administration.joinpath("gitdir").read_bytes()).strip()
        folder = Path(tree).parent.parent  # of FOLDER/NAME/.git
        if folder.name.startswith(PREFIX):
            return folder
    return None


def _is_stale(folder: Path) -> bool:
    ended = owner.has_ended(folder.name.removeprefix(PREFIX))
    if ended is not None:
        return ended
    try:
        status = folder.lstat()
    except OSError:
        return False  # of another machine or container, perhaps: git prunes it some day
    return status.st_uid == os.getuid() and owner.is_old(status.st_mtime)


def _remove(folder: Path, common: Path) -> None:
    """Remove a folder of ours, and what git notes of it in this repository or in another one."""
    noted = [each for each in _administration(common) if _folder_of(each) == folder]
    with suppress(OSError):
        for link in folder.glob("*/.git"):
            text = os.fsdecode(link.read_bytes()).removeprefix("gitdir: ").strip()
            if _folder_of(Path(text)) == folder:
                noted.append(Path(text))
    _remove_tree(folder)
    for each in noted:
        _remove_tree(each)
        with suppress(OSError):
            each.parent.rmdir()  # git too removes it with its last worktree


def _remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, also what a test has made read-only."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.is_dir():
        for path, names, _ in os.walk(folder):
            for each in (path, *(os.path.join(path, name) for name in names)):
                if not os.path.islink(each):
                    with suppress(OSError):
                        os.chmod(each, stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)
