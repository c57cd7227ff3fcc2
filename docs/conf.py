"""Sphinx settings of the documentation: `make docs` builds it into docs/_build/html; a warning is an error."""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from ai_dev_tools import __version__

project = "AI Development Tools Benchmark"
author = "The contributors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_build", "examples"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"

OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?!reference/)[\w./-]+\.md)\)")


def offer_files_outside(app: Sphinx, name: str, source: list[str]) -> None:
    """Offer a page of the repository that is not part of this site (a task's README) as a file."""

    def linked(match: re.Match[str]) -> str:
        text, path = match.groups()
        return match[0] if (Path(app.srcdir) / path).exists() else f"{{download}}`{text} </../{path}>`"

    source[0] = OUTSIDE.sub(linked, source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", offer_files_outside)
    app.add_lexer("csv", TextLexer)
