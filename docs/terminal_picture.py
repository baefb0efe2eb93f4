"""Draw what a terminal shows as an SVG file, which needs no font of its own."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
#: Lines of pytest's header that name folders and versions of this machine.
MACHINE = ("platform ", "rootdir: ", "plugins: ", "configfile: ", "cachedir: ")
#: What loads fonts from elsewhere.
FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def draw(name: str, command: str, output: str, columns: int) -> None:
    """Write docs/images/NAME.svg: a command, and its coloured output."""
    console = Console(
        record=True,
        width=columns,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(Text(f"$ {command}", style="bold"))
    for line in output.splitlines():
        text = Text.from_ansi(line.replace(" -p greenops", ""))
        if not text.plain.startswith(MACHINE):
            console.print(text)
    console.print()  # the last line of the picture is cut
    drawn = FONTS.sub("", console.export_svg(title=command, unique_id=name))
    drawn = drawn.replace("Fira Code, monospace", "monospace")
    (IMAGES / f"{name}.svg").write_text(drawn, encoding="utf-8")
    print(f"{name}.svg: {len(drawn) / 1e3:.0f} kB")
