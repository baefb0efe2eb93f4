"""Functions of the user's code, named on a command line as `MODULE:FACTORY`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pytest_greenops.model.errors import InsightError, nearest, shown


class Factory(NamedTuple):
    """A function of a module, as named on the command line: `models.py:llama_70b`."""

    name: str
    make: Callable[[], Any]
    file: str | None

    def place(self, error: BaseException) -> str:
        """Return where in the module an exception was raised: `' (models.py:12)'`."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == self.file]
        if not frames:
            return ""
        return f" ({os.path.relpath(frames[-1].filename)}:{frames[-1].lineno})"


def load(name: str) -> Factory:
    """Import a module, and return the function that `models.py:llama` or `pkg.models:llama` names.

    Modules are found as by `python -m`: from the working directory on; a file finds the modules
    beside it.

    Raises `InsightError` if there is no such module or function, or if it cannot be imported.
    """
    module_name, _, function = name.rpartition(":")
    if not module_name or not function:
        raise InsightError(
            f"{shown(name)}: expected MODULE:FACTORY, e.g. models.py:llama_70b or "
            "mypackage.models:llama_70b"
        )
    is_file = module_name.endswith(".py") or os.sep in module_name
    module = (_file if is_file else _importable)(module_name)
    found = getattr(module, function, None)
    if found is None:
        meant = nearest(function, [each for each in vars(module) if not each.startswith("_")])
        hint = f"did you mean {module_name}:{meant}?" if meant else "expected one of its functions"
        raise InsightError(f"{module_name} has no {function}; {hint}")
    if not callable(found):
        raise InsightError(f"{name} is {shown(found)}: expected a function without arguments")
    return Factory(name, found, module.__file__)


def _file(name: str) -> ModuleType:
    path = Path(name)
    if not path.is_file():
        raise InsightError(f"{name}: no such file: expected its path from {os.getcwd()}")
    path = path.resolve()
    sys.path.insert(0, str(path.parent))
    module_name = str(path) if path.stem in sys.modules else path.stem  # of another module
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InsightError(f"{name}: expected a Python file, e.g. models.py")
    module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
    loader = spec.loader
    _run(name, lambda: loader.exec_module(module))
    return module


def _importable(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())

    def found() -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise InsightError(
                    f"no module {error.name}: expected one that Python can import from here, or a "
                    "file such as models.py"
                ) from None
            raise

    module: ModuleType = _run(name, found)
    return module


def _run(name: str, action: Callable[[], Any]) -> Any:
    """Run a module; any exception of it becomes one line."""
    try:
        return action()
    except InsightError:
        raise
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        raise InsightError(f"{name} cannot be imported ({type(error).__name__}: {said})") from error
