"""Run git so that nothing of the user's shell, hooks or settings changes what it does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_greenops.model.errors import GreenopsError, OptionError

#: Longest time for one command: a partial clone downloads the files that it checks out.
LIMIT_S = 600.0
#: Variables that select a repository or its parts: a git hook that runs pytest has them set. Those
#: with settings (GIT_CONFIG_COUNT, GIT_CONFIG_PARAMETERS) stay: a container may declare its
#: `safe.directory` by them, and the settings below win.
_OF_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
    *("GIT_GRAFT_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_NAMESPACE"),
    *(
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_CONFIG",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_CEILING_DIRECTORIES",
    ),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    *("GIT_TRACE", "GIT_TRACE2", "GIT_EXTERNAL_DIFF", "GIT_DEFAULT_HASH"),
)
#: Settings that would run hooks or other programs, or change the user's index. Git LFS writes its
#: pointers: it would download what is not there.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.warnAmbiguousRefs=true",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    "worktree.useRelativePaths=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
)


class GitError(GreenopsError):
    """A git command that failed.

    said  what it wrote to its error output
    """

    def __init__(self, command: str, said: str) -> None:
        self.said = said
        super().__init__(f"git {command}: {self.last_line}")

    @property
    def last_line(self) -> str:
        """Return what it said last, without its prefix."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith(("fatal:", "error:"))), None)
        line = said or (lines or ["git failed"])[-1]
        return line.removeprefix("fatal: ").removeprefix("error: ")


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Return what a git command in this folder prints, without the last line feed.

    given  what the command reads from its input

    Raises `GitError` if the command fails, and `OptionError` if git is not installed or does not
    end in time.
    """
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    command = ["git", "--no-optional-locks", *settings, "-C", str(folder), *arguments]
    try:
        ran = subprocess.run(
            command,
            env=_environment(),
            input=os.fsencode(given),
            capture_output=True,
            timeout=LIMIT_S,
            # Ctrl-C reaches this process alone: it decides whether git may end its change.
            start_new_session=True,
        )
    except FileNotFoundError:
        raise OptionError("git is not installed, or not on PATH") from None
    except subprocess.TimeoutExpired:
        shown = " ".join(arguments[:2])
        raise OptionError(f"git {shown} did not end within {LIMIT_S:.0f} s") from None
    if ran.returncode:
        raise GitError(arguments[0], os.fsdecode(ran.stderr or ran.stdout))
    return os.fsdecode(ran.stdout).removesuffix("\n")


def common_folder(folder: Path) -> Path:
    """Return the git folder that all worktrees of a repository share; raise `GitError`."""
    return folder.joinpath(git(folder, "rev-parse", "--git-common-dir")).resolve()


def of_no_repository(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that select a repository, for any folder."""
    return {name: value for name, value in environ.items() if name not in _OF_REPOSITORY}


def _environment() -> dict[str, str]:
    environ = of_no_repository(os.environ)
    environ.update(LC_ALL="C", LANGUAGE="C", GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0")
    environ.update(GIT_LFS_SKIP_SMUDGE="1", GCM_INTERACTIVE="never")
    return environ
