"""Python processes that a side starts import from the side's tree too.

A test may start `python -m mypkg`, or workers that are not forked. A `sitecustomize` module on
PYTHONPATH, which Python imports when it starts, redirects them as the side itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_greenops.ab.redirect import Redirect, load

#: Imports the environment's own module of this name, which the one in front hides.
_THEN_THE_USUAL_ONE = """
import os
sys.path[:] = [each for each in sys.path if os.path.realpath(each) != os.path.dirname(__file__)]
this = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = this  # Python needs it there
"""


def prepare(
    redirect: Redirect, other: str, folder: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Write the module into a folder, and return a side's environment with what uses it.

    Both sides get one, and where nothing has to be redirected it does the same work: a start of
    Python would need more energy in one of them. Raises `OSError`.

    other  the tree of the other side
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    own = os.path.realpath(redirect.origin) == os.path.realpath(redirect.tree)
    program = load(redirect._replace(origin=other) if own else redirect, own)
    # A test may start other versions of Python, which this package may not run with.
    version = tuple(sys.version_info[:2])
    start = f"import sys\nif sys.version_info[:2] == {version}:\n    exec({program!r})\n"
    folder.joinpath("sitecustomize.py").write_text(start + _THEN_THE_USUAL_ONE, "utf-8")
    before = environ.get("PYTHONPATH")
    entries = [str(folder), *([before] if before else [])]
    return {**environ, "PYTHONPATH": os.pathsep.join(entries)}
