"""The site: ``sphinx-build -W -c docs . site`` in the root of the repository.

Pages are files of the repository, in ``docs/`` and beside it, so that a link between two of them
is one between files and holds wherever they are read.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generated import TABLES  # noqa: E402  it lies beside this file

project = "snnconvert"
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/*.md",
    "benchmarks/check/*.md",
    "benchmarks/recurrent/*.md",
]
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["wide.css"]
highlight_language = "none"  # of blocks that show what is printed
html_show_sphinx = False

_TABLE = re.compile(r"^<!-- table: (.+) -->$", re.MULTILINE)


def put_tables(app: Any, name: str, source: list[str]) -> None:
    """Put tables from the code in their places in a page."""
    source[0] = _TABLE.sub(lambda match: TABLES[match[1]](), source[0])


def begin_at_the_first_page(app: Any, exception: Exception | None) -> None:
    """Write an index that leads to the first page, which stands a folder lower."""
    if exception is None:
        first = app.builder.get_target_uri(root_doc)
        leads = (
            f'<meta http-equiv="refresh" content="0; url={first}"><a href="{first}">{project}</a>'
        )
        (Path(app.outdir) / "index.html").write_text(leads, encoding="utf-8")


def setup(app: Any) -> None:
    """Connect both."""
    app.connect("source-read", put_tables)
    app.connect("build-finished", begin_at_the_first_page)
