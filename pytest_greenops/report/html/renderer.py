"""From the values of a page to one HTML file that asks nothing of any other."""

from __future__ import annotations

import base64
import gzip
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pytest_greenops.model.units import format_number
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.html.page import Page
from pytest_greenops.report.html.trend_page import TrendPage

if TYPE_CHECKING:
    import jinja2

#: A file that begins with this is a report of ours.
GENERATOR = '<meta name="generator" content="pytest-greenops'
#: The quickest level of gzip; the slowest makes the library smaller by a seventh.
_LEVEL = 1
#: What would end a script element, or change how it is read. JSON has an escape for each.
_ESCAPED = {each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}


class Layout(NamedTuple):
    """The files of a kind of page: its template, and its scripts in their order."""

    template: str
    scripts: tuple[str, ...]


REPORT = Layout("page.html.jinja", ("page.js", "plots.js", "charts.js", "whatif.js"))
TRENDS = Layout("trends.html.jinja", ("page.js", "plots.js", "trends.js"))


class Renderer(NamedTuple):
    """The template, its style sheet and its scripts, all loaded: rendering reads no file.

    charts      the library that draws charts, packed: it is unpacked for the first chart that opens
    charts_hash what the content security policy allows to run of it
    """

    template: jinja2.Template
    style: str
    scripts: tuple[str, ...]
    charts: str
    charts_hash: str

    @classmethod
    def load(cls, layout: Layout = REPORT) -> Renderer:
        """Load jinja2, plotly and the template; raises `ImportError` if one is missing."""
        import jinja2
        from plotly.offline import get_plotlyjs

        loader = jinja2.PackageLoader("pytest_greenops.report", "html")
        environment = jinja2.Environment(
            loader=loader,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            finalize=_shown,
        )

        def source(name: str) -> str:
            text: str = loader.get_source(environment, name)[0]
            return text

        template = environment.get_template(layout.template)
        charts, scripts = get_plotlyjs(), tuple(map(source, layout.scripts))
        return cls(template, source("page.css"), scripts, _packed(charts), _hash(charts))

    def render(self, page: Page | TrendPage) -> str:
        """Return the file of a page that has this layout."""
        from markupsafe import Markup

        data = msgspec.json.encode(page.data).decode("utf-8", "replace")
        hashes = " ".join((*map(_hash, self.scripts), self.charts_hash))
        text: str = self.template.render(
            page=page,
            used=figures.used,
            number=format_number,
            hashes=hashes,
            generator=Markup(GENERATOR),
            style=Markup(self.style),
            scripts=list(map(Markup, self.scripts)),
            charts=Markup(self.charts),
            data=Markup(in_script(data)),
        )
        return text.lstrip()


def in_script(json: str) -> str:
    """Return JSON that may stand in a script element, whatever its strings say."""
    for character, escape in _ESCAPED.items():
        json = json.replace(character, escape)
    return json


def _packed(script: str) -> str:
    """Return a script by gzip in Base64: less than half of it, and nothing that HTML would read."""
    return base64.b64encode(gzip.compress(script.encode(), _LEVEL, mtime=0)).decode()


def _hash(script: str) -> str:
    """Return what the content security policy allows to run: this script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _shown(value: Any) -> Any:
    """Return what the template prints: control characters are escaped, whatever the value is."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
