"""What a ref names, and what is said of one that names nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_greenops.ab.refs import Ref, resolve, toplevel
from pytest_greenops.model.errors import GreenopsError, OptionError
from tests.unit.ab.repositories import Repository
from tests.unit.builders import message_of


def refused(function: Callable[..., object], *arguments: object) -> str:
    """Return the message of the error that a call must raise."""
    return message_of(OptionError, lambda: function(*arguments))


@pytest.fixture(scope="session")
def made_shallow(made_once: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return a clone with the newest commit of branch `topic` alone, as CI has it."""
    folder = tmp_path_factory.mktemp("shallow")
    source = Repository(folder / "source", made_once)
    source.git("checkout", "--quiet", "-b", "topic")
    source.commit({"code.py": "topic\n"})
    clone = Repository(folder / "clone", source)
    shutil.rmtree(folder / "clone/.git")
    clone.git("init", "--quiet", "--template=")
    clone.git("remote", "add", "origin", f"file://{source.folder}")
    clone.git("fetch", "--quiet", "--depth=1", "origin", "topic")
    clone.git("checkout", "--quiet", "--force", "-B", "topic", "FETCH_HEAD")
    return clone


@pytest.fixture
def shallow(made_shallow: Repository, tmp_path: Path) -> Repository:
    """Return a shallow clone."""
    return Repository(tmp_path / "shallow", made_shallow)


@pytest.mark.parametrize(
    "written", ["main", "v1", "annotated", "HEAD~1", "heads/main", "merge-base:main", "feature/x"]
)
def test_a_ref_names_a_commit(repository: Repository, written: str) -> None:
    """A branch, a tag of either kind, an ancestor and a merge base are found from any folder."""
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message=release", "annotated")
    repository.git("branch", "feature/x")
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit({"inside/code.py": "second\n"})
    found = resolve(written, repository.folder / "inside")
    assert found[:3] == (written, repository.first, repository.first[:7])


@pytest.mark.parametrize(
    ("written", "branch"),
    [
        *((name, name) for name in ("main", "heads/main", "feature/x")),
        ("merge-base:main", "main"),
        *((name, None) for name in ("v1", "merge-base:v1", "main~0", "HASH", "SHORT")),
    ],
)
def test_a_branch_is_known_as_one(repository: Repository, written: str, branch: str | None) -> None:
    """Later commits move a branch, but no tag, no ancestor and no hash."""
    repository.git("tag", "v1")
    repository.git("branch", "feature/x")
    first = repository.first
    written = {"HASH": first, "SHORT": first[:8]}.get(written, written)
    assert resolve(written, repository.folder).branch == branch


def test_what_git_refuses_is_one_line(repository: Repository) -> None:
    """An error of git, wherever it comes up, is an error of the run with one line."""
    repository.git("checkout", "--quiet", "-b", "topic")
    with (repository.folder / ".git/index").open("wb") as index:
        index.write(b"no index")
    with pytest.raises(GreenopsError, match=r"\Agit status: [^\n]+\Z"):
        resolve("stash", repository.folder)


def test_a_hash_names_its_commit(repository: Repository) -> None:
    """A commit may be written in full or in short."""
    for written in (repository.first, repository.first[:8]):
        assert resolve(written, repository.folder).commit == repository.first


def test_the_merge_base_is_where_the_branch_began(repository: Repository) -> None:
    """Commits on main since then make no difference."""
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit({"code.py": "topic\n"})
    repository.git("checkout", "--quiet", "main")
    newest = repository.commit({"code.py": "main\n"})
    repository.git("checkout", "--quiet", "topic")
    assert resolve("merge-base:main", repository.folder).commit == repository.first
    assert resolve("main", repository.folder).commit == newest


def test_a_remote_branch_serves_where_there_is_no_local_one(
    repository: Repository, other: Repository
) -> None:
    """A checkout in CI has `origin/main` alone; the name stays as the user wrote it."""
    other.git("remote", "add", "upstream", str(repository.folder))
    other.git("fetch", "--quiet", "upstream")
    other.git("checkout", "--quiet", "-b", "topic")
    other.git("branch", "--quiet", "-D", "main")
    other.commit({"code.py": "topic\n"})
    first = repository.first
    assert resolve("main", other.folder) == Ref("main", first, first[:7], "main")
    assert resolve("merge-base:main", other.folder).commit == repository.first


@pytest.mark.parametrize("change", ["code.py", "new.py"])
def test_stash_is_the_tree_without_its_changes(repository: Repository, change: str) -> None:
    """With changes, of files that git tracks or not, it is HEAD; the changes stay."""
    repository.write({change: "changed\n"})
    assert resolve("stash", repository.folder).commit == repository.first
    assert repository.folder.joinpath(change).read_text() == "changed\n"


def test_stash_without_changes_is_refused(repository: Repository) -> None:
    """It would compare HEAD with itself."""
    assert refused(resolve, "stash", repository.folder) == (
        "--energy-ab='stash': there are no uncommitted changes to compare with HEAD: "
        "use HEAD~1, a branch, a tag or a commit"
    )


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("main", "git fetch --depth=1 origin main:refs/remotes/origin/main"),
        ("origin/main", "git fetch --depth=1 origin main:refs/remotes/origin/main"),
        ("v1.2", "git fetch --depth=1 origin tag v1.2"),
        ("0123456789" * 4, f"git fetch --depth=1 origin {'0123456789' * 4}"),
        ("HEAD~1", "git fetch --unshallow origin"),
    ],
)
def test_a_shallow_clone_lacks_a_ref(shallow: Repository, written: str, fix: str) -> None:
    """The error is one line with the command that fetches what is missing."""
    assert refused(resolve, written, shallow.folder) == (
        f"--energy-ab={written!r}: it is not in this shallow clone: {fix}"
    )


def test_the_suggested_commands_fetch_what_is_missing(shallow: Repository) -> None:
    """After them the ref, and then its merge base, is found."""
    for written in ("main", "merge-base:main"):
        message = refused(resolve, written, shallow.folder)
        shallow.git(*message.rpartition(": git ")[2].split())
        assert resolve(written, shallow.folder).commit == shallow.first


def test_a_merge_base_beyond_a_shallow_clone(shallow: Repository) -> None:
    """The error names the branch and how to fetch the history."""
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
    assert refused(resolve, "merge-base:main", shallow.folder) == (
        "--energy-ab='merge-base:main': this shallow clone lacks the commit at which HEAD left "
        "main: git fetch --unshallow origin"
    )


def test_branches_without_a_common_commit(repository: Repository) -> None:
    """They have no merge base in a whole clone either."""
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit({"code.py": "other\n"})
    assert refused(resolve, "merge-base:main", repository.folder) == (
        "--energy-ab='merge-base:main': HEAD and main have no common commit"
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("mian", "no such branch, tag or commit: did you mean main?"),
        ("--help", "no such branch, tag or commit"),
        ("HEAD~7", "no such branch, tag or commit"),
        ("merge-base:", "expected merge-base:BRANCH, for example merge-base:main"),
        ("merge-base:x", "x: no such branch, tag or commit"),
        ("main:code.py", "no such branch, tag or commit"),
    ],
)
def test_an_unknown_ref(repository: Repository, written: str, said: str) -> None:
    """The error names the ref, and one that was probably meant."""
    assert refused(resolve, written, repository.folder) == f"--energy-ab={written!r}: {said}"


def test_a_name_of_two_commits_is_ambiguous(repository: Repository) -> None:
    """A branch and a tag of one name are told apart by the user; of one commit they need not be."""
    repository.git("tag", "release")
    repository.git("branch", "release")
    assert resolve("release", repository.folder).commit == repository.first
    repository.git("checkout", "--quiet", "release")
    repository.commit({"code.py": "second\n"})
    assert refused(resolve, "release", repository.folder) == (
        "--energy-ab='release': it is ambiguous: write heads/release or tags/release"
    )
    assert resolve("tags/release", repository.folder).commit == repository.first


def test_a_repository_without_a_commit(tmp_path: Path, repository: Repository) -> None:
    """There is nothing to compare with."""
    repository.git("init", "--quiet", str(tmp_path / "new"))
    assert refused(resolve, "stash", tmp_path / "new") == (
        "--energy-ab='stash': this repository has no commit yet"
    )


def test_outside_of_a_repository(tmp_path: Path) -> None:
    """The error says where pytest has to be started."""
    assert refused(toplevel, tmp_path) == (
        f"--energy-ab: {tmp_path} is not in a git repository: run pytest in a clone of the project"
    )


def test_a_bare_repository(repository: Repository, tmp_path: Path) -> None:
    """It has no working tree to compare."""
    repository.git("clone", "--quiet", "--bare", str(repository.folder), str(tmp_path / "bare"))
    assert "is not in a working tree (a bare repository?)" in refused(toplevel, tmp_path / "bare")


def test_a_repository_of_another_user(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's reason is passed on, with the command that allows it."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    message = refused(toplevel, repository.folder)
    assert "belongs to another user" in message
    assert f"git config --global --add safe.directory {repository.folder}" in message


def test_git_is_not_installed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so."""
    monkeypatch.setenv("PATH", str(repository.folder))
    assert refused(toplevel, repository.folder) == ("git is not installed, or not on PATH")


def test_variables_of_a_git_hook_change_nothing(
    repository: Repository, other: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook that runs pytest has variables that select its own repository and index."""
    other.commit({"code.py": "other\n"})
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert toplevel(repository.folder) == repository.folder
    assert resolve("main", repository.folder).commit == repository.first
    assert not tmp_path.joinpath("index").exists()
