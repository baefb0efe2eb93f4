"""Facts about the measured process: conditions, versions, revision, tracers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

import pytest_greenops
from pytest_greenops.machine import conditions, instrumented, revision
from pytest_greenops.machine.interpreter import allocator, interpreter
from pytest_greenops.model.baseline import Revision
from pytest_greenops.system import SYSTEM

ROOT = Path(__file__).parents[3]
SHOW = """
import json, sys
from pytest_greenops import machine
def show(value): print(json.dumps(value))
"""


def told(program: str, *interpreter: str, **environ: str) -> Any:
    """Return what a fresh process prints as JSON with `show`."""
    kept = {name: said for name, said in os.environ.items() if name != "OMP_NUM_THREADS"}
    process = subprocess.run(
        [sys.executable, *interpreter, "-c", f"{SHOW}\n{program}"],
        env={**kept, **environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_conditions_without_torch_are_those_of_the_environment() -> None:
    """Threads are those of OMP_NUM_THREADS, and are omitted if it is not set."""
    plain = {"interpreter": "default", "allocator": "default"}
    assert told("show(machine.conditions())", OMP_NUM_THREADS="3") == {**plain, "threads": "3"}
    assert told("show(machine.conditions())") == plain


def test_conditions_are_how_the_interpreter_was_started() -> None:
    """Flags and allocators change what work costs; what a test sets later does not."""
    program = 'import os\nos.environ["MALLOC_ARENA_MAX"] = "1"\nshow(machine.conditions())'
    flags = ("-O", "-X", "dev", "-X", "frozen_modules=off")
    found = told(program, *flags, PYTHONMALLOC="malloc", MALLOC_ARENA_MAX="2")
    assert found["interpreter"] == "-O, -X dev"
    assert found["allocator"] == "MALLOC_ARENA_MAX=2 PYTHONMALLOC=malloc"
    options = told("show(machine.recorded_facts()['python options'])", *flags)
    assert options == "-X dev -X frozen_modules=off"


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"LD_PRELOAD": "/lib/libjemalloc.so.2 /x/a.so"}, "LD_PRELOAD=libjemalloc.so.2 a.so"),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}, "GLIBC_TUNABLES=glibc.malloc.arena_max=1"),
        ({"MALLOC_CONF": "prof_prefix:/home/me/jeprof"}, "MALLOC_CONF=prof_prefix:jeprof"),
        ({"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}, "PYTORCH_CUDA_ALLOC_CONF=backend:native"),
        ({"LD_PRELOAD": "caf\udce9.so"}, r"LD_PRELOAD=caf\xe9.so"),
        ({"PYTHONMALLOC": "pymalloc", "MALLOC_PERTURB_": "", "PYTORCH_JIT": "0"}, "default"),
    ],
)
def test_the_allocator_is_that_of_the_environment(environ: dict[str, str], text: str) -> None:
    """Without folders, which differ between machines."""
    assert allocator(environ) == text


@pytest.mark.parametrize(
    ("flag", "environ", "text"),
    [
        ({"optimize": 2}, {}, "-OO"),
        ({}, {"PYTHONASYNCIODEBUG": "1"}, "PYTHONASYNCIODEBUG"),
        ({"ignore_environment": 1}, {"PYTHONASYNCIODEBUG": "1"}, "default"),
    ],
)
def test_the_interpreter_is_that_of_its_flags(
    flag: dict[str, int], environ: dict[str, str], text: str
) -> None:
    """Variables count unless Python was told to ignore them."""
    flags = {"optimize": 0, "dev_mode": False, "ignore_environment": 0, **flag}
    assert interpreter(SimpleNamespace(**flags), environ) == text


def test_loads_no_framework() -> None:
    """Reading facts, conditions and versions imports none of the libraries."""
    program = """
machine.conditions(); machine.versions(); machine.recorded_facts()
show(sorted({"torch", "numpy", "transformers", "pynvml"} & sys.modules.keys()))
"""
    assert told(program) == []


def test_conditions_of_torch_are_what_a_test_set() -> None:
    """If torch is loaded, its threads and default dtype count, not the environment."""
    pytest.importorskip("torch")
    program = """
import torch
torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
show([machine.conditions(), machine.versions(), torch.__version__, torch.cuda.is_available()])
"""
    found, versions, torch_version, cuda = told(program, OMP_NUM_THREADS="1")
    assert (found["threads"], found["dtype"]) == ("2", "float64")
    assert ("tf32" in found) is cuda
    assert versions["torch"] == torch_version


def fake_torch(cuda: bool, backends: SimpleNamespace) -> Any:
    """The part of torch that conditions are read from, as not every machine has a CUDA build."""
    torch: Any = ModuleType("torch")
    torch.get_num_threads = lambda: 4
    torch.get_default_dtype = lambda: "torch.float32"
    torch.asked = []
    torch.backends = backends

    def is_available() -> bool:
        torch.asked.append(os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK"))
        return cuda

    torch.cuda = SimpleNamespace(is_available=is_available)
    return torch


class Raises:
    """A flag that cannot be read after the newer setting was used, as in torch 2.9."""

    @property
    def allow_tf32(self) -> bool:
        """Raise an error."""
        raise RuntimeError("mix of the legacy and new APIs")


class NewSetting(Raises):
    """The setting of one operation, new in torch 2.9."""

    def __init__(self, precision: str, conv: str | None = None) -> None:
        self.fp32_precision = precision
        if conv is not None:
            self.conv = SimpleNamespace(fp32_precision=conv)


OLD = SimpleNamespace(
    cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False)),
    cudnn=SimpleNamespace(allow_tf32=True),
)
NEW = SimpleNamespace(
    cuda=SimpleNamespace(matmul=NewSetting("none")), cudnn=NewSetting("none", conv="tf32")
)


@pytest.mark.parametrize("backends", [OLD, NEW], ids=["torch 2.8", "torch 2.9"])
def test_tf32_reads_alike_from_old_and_new_torch(
    monkeypatch: pytest.MonkeyPatch, backends: SimpleNamespace
) -> None:
    """An update of torch that renames the flags does not break a comparison."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch(True, backends))
    assert conditions()["tf32"] == "matmul off, cudnn on"


def test_a_mock_of_torch_sets_no_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may replace the module, whose answers are then objects."""
    monkeypatch.setitem(sys.modules, "torch", MagicMock())
    assert not {"dtype", "tf32"} & conditions().keys()


def test_tf32_is_left_out_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """If torch cannot use a GPU, its TF32 flags do not matter."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch(False, OLD))
    assert "tf32" not in conditions()


def test_asks_for_cuda_without_harm_to_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA is queried once, in a way that lets forked children use it."""
    torch = fake_torch(True, OLD)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)
    conditions()
    conditions()
    assert torch.asked == ["1"]
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ


def test_versions_are_of_this_plugin_and_python() -> None:
    """Without a loaded framework, there are only the versions of the plugin and of Python."""
    assert told("show(machine.versions())") == {
        "pytest-greenops": pytest_greenops.__version__,
        "python": platform.python_version(),
    }


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    asked = ["git", *who, *arguments]
    return subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_finds_the_commit_of_a_clean_tree(repository: Path) -> None:
    """A subfolder of a repository has its commit; ignored and untracked files are clean."""
    (repository / "folder").mkdir()
    (repository / "untracked.json").write_text("{}")
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert revision(repository / "folder") == Revision(commit, dirty=False)


@pytest.mark.parametrize("staged", [False, True])
def test_finds_uncommitted_changes(repository: Path, staged: bool) -> None:
    """A change of a tracked file makes the tree dirty, staged or not."""
    (repository / "code.py").write_text("2\n")
    if staged:
        git(repository, "add", "code.py")
    assert revision(repository).dirty is True


@pytest.mark.skipif(sys.platform != "linux", reason="names of branches are bytes on Linux")
def test_a_branch_whose_name_is_not_utf_8_has_a_commit(repository: Path) -> None:
    """What git prints need not be text."""
    commit = revision(repository).commit
    subprocess.run([b"git", b"checkout", b"-q", b"-b", b"caf\xe9"], cwd=repository, check=True)
    assert revision(repository) == Revision(commit, False)


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    """A repository without commits has no commit."""
    git(tmp_path, "init", "--quiet")
    assert revision(tmp_path) == Revision(None, dirty=False)


def test_is_not_led_astray_by_a_git_hook(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a hook of another repository the commit is still that of the folder."""
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "--quiet")
    commit = git(repository, "rev-parse", "HEAD").strip()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert revision(repository).commit == commit


def test_knows_no_revision_without_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a repository, in a missing folder, or without git, nothing is known."""
    assert revision(tmp_path) == Revision(None, None)
    assert revision(tmp_path / "gone") == Revision(None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(ROOT) == Revision(None, None)


def test_nothing_instruments_a_plain_process() -> None:
    """A process without tracer or profiler is not instrumented."""
    assert told("show(machine.instrumented())") is None


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("sys.settrace(lambda *seen: None)", "__main__ (sys.settrace)"),
        ("sys.setprofile(lambda *seen: None)", "__main__ (sys.setprofile)"),
        (
            "import threading\nthreading.setprofile(lambda *seen: None)",
            "__main__ (threading.setprofile)",
        ),
    ],
)
def test_names_who_traces(program: str, name: str) -> None:
    """A trace or profile function is named after its module."""
    assert told(f"{program}\nfound = machine.instrumented()\nshow(found)") == name


@pytest.mark.parametrize("flags", [["-X", "tracemalloc"], []])
def test_names_tracemalloc(flags: list[str]) -> None:
    """Each allocation is traced, whether since the start or since a test began."""
    start = "" if flags else "import tracemalloc; tracemalloc.start()\n"
    assert told(f"{start}show(machine.instrumented())", *flags) == "tracemalloc"


def test_names_cprofile() -> None:
    """The profiler of the standard library is named, for every way in which Python installs it."""
    program = (
        "import cProfile\nwith cProfile.Profile(): found = machine.instrumented()\nshow(found)"
    )
    setter = "sys.monitoring" if sys.version_info >= (3, 12) else "sys.setprofile"
    assert told(program) == f"cProfile ({setter})"


def test_names_tools_that_monitor() -> None:
    """Each tool that is registered with `sys.monitoring` is named, if Python has it."""
    tools = SimpleNamespace(get_tool={0: "debugger", 1: "coverage"}.get)
    system = replace(SYSTEM, get_tool=tools.get_tool)
    named = instrumented(system)
    assert named is not None
    assert named.endswith("debugger (sys.monitoring), coverage (sys.monitoring)")


@pytest.mark.parametrize("core", ["ctrace", "pytrace", "sysmon"])
def test_names_coverage(tmp_path: Path, core: str) -> None:
    """Coverage is named, for each of its ways to trace."""
    pytest.importorskip("coverage")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring came with Python 3.12")
    measure = "import coverage\nmeter = coverage.Coverage(data_file=None)\nmeter.start()\n"
    measure += "found = machine.instrumented()\nmeter.stop()\nshow(found)"
    named = "coverage.py (sys.monitoring)" if core == "sysmon" else "coverage (sys.settrace)"
    assert told(measure, COVERAGE_CORE=core) == named
