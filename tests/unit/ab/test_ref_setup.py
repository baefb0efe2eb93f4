"""The command that builds a ref's package, and the environment that it runs in."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

from pytest_greenops.ab.ref_setup import build
from pytest_greenops.model.errors import OptionError
from tests.unit.builders import message_of


class Setup:
    """A tree, and an environment to build it in."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.environment = folder / "tree", folder / "my environment"
        self.tree.mkdir()

    def run(self, command: str, limit_s: float = 30.0) -> str:
        """Run a command, and return the folder of packages."""
        users = self.tree.with_name("users")
        environment = self.environment
        return build(command, tree=self.tree, users=users, environment=environment, limit_s=limit_s)

    @property
    def written(self) -> list[str]:
        """Return the lines that a command has written into `out` in the tree."""
        return self.tree.joinpath("out").read_text().splitlines()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Return a tree to build."""
    return Setup(tmp_path)


def test_the_command_runs_in_an_environment_of_its_own(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python sees what is installed here, and pip and uv install into it."""
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("UV_SYSTEM_PYTHON", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    code = (
        "import pluggy, sys, sysconfig; print(sys.prefix, sysconfig.get_path('purelib'), "
        "pluggy.__file__, sep='\\n')"
    )
    packages = setup.run(
        f'(python -c "{code}"; echo $VIRTUAL_ENV; echo "$PIP_TARGET$UV_SYSTEM_PYTHON$PYTHONPATH"; '
        "echo $GREENOPS_WORKING_TREE; pwd; pip --version) > out"
    )
    environment = str(setup.environment)
    prefix, purelib, pluggy, variable, none, users, folder, pip = setup.written
    assert (prefix, purelib, variable, none) == (environment, packages, environment, "")
    assert (users, folder) == (str(setup.tree.with_name("users")), str(setup.tree))
    assert pluggy == sys.modules["pluggy"].__file__
    assert pip.startswith("pip ")
    assert packages.startswith(environment)


def test_its_packages_are_seen_by_no_other_environment(setup: Setup) -> None:
    """What makes it see the packages of this one acts there alone."""
    packages = setup.run("true")
    code = f"import site, sys; site.addsitedir({packages!r}); print('pluggy' in sys.modules)"
    other = f"import sys; {code}; print([each for each in sys.path if 'site-packages' in each])"
    command = [sys.executable, "-S", "-E", "-c", other]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[1] == str([packages])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3", "exit code 3: no output"),
        ("echo one; echo two >&2; echo; exit 1", "exit code 1: two"),
        ("no-such-command-here", "exit code 127: "),
    ],
)
def test_a_command_that_fails(setup: Setup, command: str, said: str) -> None:
    """The error is one line with the exit code and the last line of output."""
    message = message_of(OptionError, lambda: setup.run(command))
    assert message.startswith(f"--energy-ab-setup={command!r}: {said}")
    assert "\n" not in message


def test_a_command_that_does_not_end(setup: Setup) -> None:
    """The error says how long it had."""
    message = message_of(OptionError, lambda: setup.run("sleep 600", limit_s=0.1))
    assert message == "--energy-ab-setup='sleep 600': it did not end within 0.1 s"


def test_what_the_command_started_ends_with_it(setup: Setup) -> None:
    """A server of a compiler, for example, would run on and disturb the measurement."""
    os.mkfifo(setup.tree / "pipe")
    reader = os.open(setup.tree / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    setup.run("exec 3> pipe; sleep 600 &")
    poll = select.poll()
    poll.register(reader, select.POLLHUP)
    assert poll.poll(10_000) == [(reader, select.POLLHUP)]
    os.close(reader)


def test_nothing_changes_in_the_users_environment(setup: Setup) -> None:
    """A package that is installed there lies in the new environment alone."""
    installed = sorted(os.listdir(sysconfig.get_path("purelib")))
    code = "from sysconfig import get_path as g; open(g('purelib') + '/mypkg.py', 'w').close()"
    packages = setup.run(f'python3 -c "{code}"')
    assert Path(packages, "mypkg.py").is_file()
    assert sorted(os.listdir(sysconfig.get_path("purelib"))) == installed


@pytest.mark.parametrize(
    ("name", "version", "of_tree", "refused"),
    [
        ("pluggy", "0.1", False, True),
        ("pluggy", metadata.version("pluggy"), False, False),
        ("pluggy", "0.1", True, False),
        ("no-such-distribution", "0.1", False, False),
    ],
)
def test_dependencies_are_those_of_this_environment(
    setup: Setup, name: str, version: str, of_tree: bool, refused: bool
) -> None:
    """Another version for the ref alone would be compared too; the project itself may differ."""
    written = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    if of_tree:
        written["direct_url.json"] = json.dumps({"url": setup.tree.as_uri(), "dir_info": {}})
    script = "import os, sysconfig\n" + "".join(
        f"folder = sysconfig.get_path('purelib') + '/{name}-{version}.dist-info'\n"
        f"os.makedirs(folder, exist_ok=True)\nopen(folder + '/{file}', 'w').write({text!r})\n"
        for file, text in written.items()
    )
    setup.tree.joinpath("install.py").write_text(script)
    if refused:
        assert message_of(OptionError, lambda: setup.run("python install.py")) == (
            f"--energy-ab-setup='python install.py' installed pluggy 0.1, of which "
            f"{metadata.version('pluggy')} is in use here: prevent that, for example with --no-deps"
        )
    else:
        assert setup.run("python install.py").endswith("site-packages")
