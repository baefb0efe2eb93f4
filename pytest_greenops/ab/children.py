"""Python processes that an arm starts import from the arm's tree too.

A test may start `python -m mypkg`, or workers that are not forked. A `sitecustomize` module on
PYTHONPATH, which Python imports when it starts, redirects them as the arm itself.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_greenops.ab.redirect import Redirect, load

#: Runs the environment's own module of this name, which the one in front hides.
_THEN_THE_USUAL_ONE = """
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
import os
others = [each for each in sys.path if os.path.realpath(each or ".") != os.path.dirname(__file__)]
spec = PathFinder.find_spec("sitecustomize", others)
if spec is not None and spec.loader is not None:
    sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["sitecustomize"])
"""


def prepare(redirect: Redirect, folder: Path) -> dict[str, str]:
    """Write the module into a folder, and return the variables for an arm's environment.

    Both arms get one, so that their environments are alike. Raises `OSError`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    folder.joinpath("sitecustomize.py").write_text(load(redirect) + _THEN_THE_USUAL_ONE, "utf-8")
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([before] if before else [])])}
