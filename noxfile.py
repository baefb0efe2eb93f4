"""The compatibility of this plugin, as `nox` runs it; docs/compatibility.md has what was run.

A Python that is not on this machine is skipped, and fails in CI: there,
`--error-on-missing-interpreters` is given. Arguments after `--` replace the tests.
"""

from __future__ import annotations

from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
#: What has to be true of pytest, by the name of its session.
PYTESTS = {"8.4": "pytest~=8.4.0", "9.0": "pytest~=9.0.0", "newest": "pytest"}
BESIDE = Path("tests/integration/beside")
#: What a plugin's suite needs beside its plugin.
ALSO = {"pytest-django": ["Django"]}
#: What a Python or a pytest may change. Comparisons of commits, and what needs a clock, torch or a
#: browser, are left out.
TESTS = (
    *("tests/unit", "tests/integration", "-m", "not real_time and not needs_torch"),
    "--ignore=tests/unit/bisection",
    *(
        f"--ignore-glob=tests/integration/test_{name}.py"
        for name in ("ab*", "cli_bisect", "html", "html_charts", "history_html")
    ),
)

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["tests", "beside"]
nox.options.reuse_venv = "yes"


def install(session: nox.Session, *packages: str, unpinned: tuple[str, ...] = ()) -> None:
    """Install packages in the versions of constraints.txt, but for those that are `unpinned`."""
    pins = Path("constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [pin for pin in pins if pin.partition("==")[0] not in unpinned]
    constraints = Path(session.create_tmp(), "constraints.txt")
    constraints.write_text("\n".join(kept) + "\n", encoding="utf-8")
    session.install("--constraint", str(constraints), *packages)


def first(need: str) -> str:
    """Return the first versions that a requirement admits: `numpy==1.23.*` of `numpy>=1.23`."""
    versions, *marker = need.split(";")
    return ";".join([f"{versions.replace('>=', '==', 1)}.*", *marker])


def run(session: nox.Session, *arguments: str) -> None:
    """Run pytest, where warnings are errors."""
    session.run("python", "-m", "pytest", "-W", "error", *arguments)


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", list(PYTESTS))
def tests(session: nox.Session, pytest: str) -> None:
    """Run the tests with each Python and each pytest."""
    install(session, ".[test]", PYTESTS[pytest], unpinned=("pytest",))
    run(session, *(session.posargs or TESTS))


@nox.session(python=PYTHONS)
@nox.parametrize("plugin", sorted(folder.name for folder in BESIDE.iterdir()))
def beside(session: nox.Session, plugin: str) -> None:
    """Run the suite of each other pytest plugin, in an environment with that plugin alone."""
    pytest = PYTESTS["8.4" if plugin == "pytest-subtests" else "newest"]
    unpinned = ("pytest",) if plugin == "pytest-subtests" else ()
    install(session, ".", plugin, *ALSO.get(plugin, ()), pytest, unpinned=unpinned)
    run(session, "tests/integration/test_beside.py", "-k", f"[{plugin}]", *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml declares."""
    declared = PROJECT["project"]["dependencies"]
    lowest = [first(need) for need in declared if "typing-extensions" not in need]
    install(session, ".[test]")
    session.install(*lowest)  # whatever the packages of the tests ask for
    run(session, *(session.posargs or TESTS))


@nox.session(python=["3.11"])
@nox.parametrize("versions", ["oldest", "newest"])
def torch(session: nox.Session, versions: str) -> None:
    """Run the tests that need torch and transformers; PyPI's torch brings several GB of CUDA."""
    bench = PROJECT["project"]["optional-dependencies"]["bench"]
    if versions == "oldest":
        bench = [first(need) for need in bench]
    install(session, ".[test]", *bench, unpinned=("torch", "transformers", "scikit-learn"))
    run(session, *(session.posargs or ("tests/unit/work", "tests/integration/test_count.py")))


@nox.session
def metadata(session: nox.Session) -> None:
    """Check the citation, and the workflows for what would be unsafe."""
    install(session, "cffconvert", "zizmor", unpinned=("jsonschema",))
    session.run("cffconvert", "--validate")
    session.run("zizmor", "--offline", ".github/workflows", "action.yml")
