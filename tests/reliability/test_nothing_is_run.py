"""The package runs, unpickles and fetches nothing that it reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.projects import ALONE, WORKS, Project
from tests.test_architecture import Module, modules

#: What turns bytes into objects or code, and what fetches.
UNPICKLES = {
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dbm", "copyreg", "dill", "cloudpickle"),
    *("joblib", "yaml", "jsonpickle", "code", "codeop", "ray"),
}
FETCHES = {
    *("urllib", "http", "ftplib", "smtplib", "imaplib", "poplib", "nntplib", "telnetlib", "xmlrpc"),
    *("socket", "socketserver", "ssl", "asyncio", "webbrowser", "requests", "urllib3", "httpx"),
    *("aiohttp", "websockets", "paramiko", "boto3"),
}
RUNS = {"eval", "exec", "compile", "__import__"}
#: Libraries whose `load` may unpickle.
LOADS = {"torch", "numpy", "np"}
#: module and what it uses: why it may.
ALLOWED = {
    ("model.history_url", "urllib.parse"): "takes the URL of a database apart",
    ("ab.ref_setup", "urllib.parse"): "takes the path out of a file: URL of an installed package",
    ("baselines.folder_lock", "socket"): "the name of this host, for whoever waits for the lock",
    ("fleet.cluster", "ray"): "connects to the cluster that the user names, which is to be trusted",
    ("fleet.cluster", "ray.util.scheduling_strategies"): "the same",
    ("ab.own_packages", "__import__"): "tomllib or tomli, by the version of Python",
    ("ab.ref_setup", "shell=True"): "--energy-ab-setup is a command that the user gives",
    ("run.process", "exec("): "a child runs the program that its parent wrote for it",
    ("ab.children", "exec("): "children of a side run the program that the side wrote for them",
}
_IN_TEXT = re.compile(r"(?<![\w.])(?:exec|eval|__import__)\(")


def uses(module: Module) -> Iterator[str]:
    """Yield what a module uses of the above."""
    for each in module.imports:
        if each.top in UNPICKLES | FETCHES:
            yield each.name
    described = {
        id(node.body[0].value)
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and node.id in RUNS:
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {f"{x}.load" for x in LOADS}:
            yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            yield f"{node.arg}={ast.unparse(node.value)}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and id(node) not in described:
            yield from _IN_TEXT.findall(str(node.value))


def test_the_package_runs_unpickles_and_fetches_nothing() -> None:
    """Each exception has a reason, and is still there."""
    found = {(module.name, use) for module in modules().values() for use in uses(module)}
    assert found == ALLOWED.keys()


def test_what_is_forbidden_is_recognised() -> None:
    """The rule above sees imports anywhere, calls, programs in texts, and no method `eval`."""
    tree = ast.parse(
        '"""exec(this)"""\n'
        "import urllib.request\n"
        "def f():\n"
        "    from pickle import loads\n"
        "    eval('1'), model.eval(), re.compile('x')\n"
        "    torch.load(path), numpy.load(path, allow_pickle=True)\n"
        "    run(x, shell=True), f'exec({x})', os.system('x')\n"
    )
    assert sorted(uses(Module("x", Path("x.py"), tree))) == [
        *("allow_pickle=True", "eval", "exec(", "numpy.load", "os.system", "pickle"),
        *("shell=True", "torch.load", "urllib.request"),
    ]


SECRET = "hunter2-of-this-test"
#: Variables that hold secrets in CI, and some that this plugin reads.
VARIABLES = (
    *("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HF_TOKEN", "PGPASSWORD", "CI_JOB_TOKEN"),
    *("WANDB_API_KEY", "ACTIONS_RUNTIME_TOKEN", "PIP_INDEX_URL", "MY_PASSWORD"),
)
REPORTS = [f"--energy-{name}={name}.out" for name in ("html", "markdown")]
EXPORTS = ("bencher", "github-action-benchmark", "openmetrics")
REPORTS += [f"--energy-export={name}:{name}.out" for name in EXPORTS]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://someone:{SECRET}@127.0.0.1:9/runs",
        f"postgresql+psycopg://127.0.0.1:9/runs?user=someone&password={SECRET}",
        "sqlite:///history.db",
    ],
    ids=["password", "parameter", "file"],
)
def test_no_secret_is_in_any_output(saved: Project, tmp_path: Path, url: str) -> None:
    """Neither those of the environment nor that of the URL of the history, with every report on."""
    for name in VARIABLES:
        saved.monkeypatch.setenv(name, SECRET)
    saved.monkeypatch.setenv("GITHUB_ACTIONS", "true")
    saved.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(saved.path / "summary.out"))
    saved.monkeypatch.setenv("TMPDIR", str(tmp_path))
    saved.write("test_it.py", WORKS + WORKS.replace("test_works", "test_more"))
    options = [*ALONE, *REPORTS, f"--energy-history={url}", "--junit-xml=junit.out", "-rA"]
    printed = []
    for joules, save in ((2.0, False), (4.0, False), (2.0, True)):
        ran = (saved.save if save else saved.energy)(*options, joules=joules)
        printed += [ran.text, *ran.errors]
        assert "test_works" in ran.results
    assert SECRET not in "\n".join(printed)
    files = [path for top in (saved.path, tmp_path) for path in top.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"results.json", "html.out", "summary.out", "junit.out"} <= names
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
