"""Sections as HTML fragments, and the page around them.

Jinja2 escapes everything that a template prints.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.reporting.document import QUIET, RANK, SIGNS, Figure, Page, Section
from ai_dev_tools.benchmark.reporting.sections.headline import MEANINGS


def asset(name: str) -> str:
    """Text of a file of the package's `templates` folder."""
    return resources.files("ai_dev_tools.benchmark.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Jinja2 with escaping on, the package's templates, and every printed text made visible."""
    jinja = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    jinja.globals["signs"] = SIGNS
    jinja.globals["rank"], jinja.globals["quiet"] = RANK, QUIET
    jinja.globals["words"] = tuple(SIGNS)
    jinja.globals["meanings"] = MEANINGS
    return jinja


def _visible(value: object) -> object:
    """Whatever a template prints: characters that would act unseen are shown; markup stays as it is."""
    return visible(value, keep_lines=False) if isinstance(value, str) and not isinstance(value, Markup) else value


def section_html(section: Section, pictures: Mapping[str, str]) -> str:
    """One section as an HTML fragment.

    Args:
        pictures: SVG of each figure by its id, made by `plots.inline_svg`.
    """
    blocks = [(type(block).__name__, block) for block in section.blocks]
    safe = {name: Markup(picture) for name, picture in pictures.items()}
    return environment().get_template("section.html.j2").render(section=section, blocks=blocks, pictures=safe)


def figure_title(figure: Figure) -> str:
    """A figure's title, escaped for an attribute."""
    return str(escape(figure.title))


def script_json(value: object) -> str:
    """Any JSON, safe inside a <script> element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data_script(name: str, value: object) -> str:
    """A block of data inside a page, for its script to read."""
    return f'<script type="application/json" id="{escape(name)}">{script_json(value)}</script>'


def document(page: Page, body: str, payload: str, own_scripts: bool = False) -> str:
    """A whole page around its sections.

    Args:
        body: the sections as HTML, made by `section_html`.
        payload: data scripts, made by `data_script`.
        own_scripts: whether the page loads side files.
    """
    js = asset("report.js")
    digest = base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            title=f"{page.title}: {page.subject}" if page.subject else page.title,
            body=Markup(body),
            payload=Markup(payload),
            css=Markup(asset("report.css")),
            js=Markup(js),
            script_sources=Markup(f"'sha256-{digest}'" + (" 'self' file:" if own_scripts else "")),
        )
    )
