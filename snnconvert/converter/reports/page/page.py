"""A report as one self-contained HTML page: it opens from a file, and asks no network."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.reports.page.bundles import environment, plots, tables
from snnconvert.converter.reports.page.charts import charts_of
from snnconvert.converter.reports.page.content import degree_of, figures_of, table_of
from snnconvert.converter.reports.spiking_tables import tables_of


def page_of(report: EquivalenceReport) -> str:
    """Return a report as an HTML page.

    All that is shown is in the report. The page holds its scripts, of which a browser runs only
    those whose hash it names, and no address to load anything from.

    Raises:
        DependencyError: a package that a page needs is missing.
    """
    data_tables, style = tables()
    scripts = [plots(), data_tables, _text("page.js")]
    degree, said_of_degree = degree_of(report)
    header, rows = table_of(report)
    charts = charts_of(report)
    text: str = (
        environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            made=report.made,
            degree=degree,
            said_of_degree=said_of_degree,
            figures=figures_of(report),
            charts=charts,
            specs=[{"id": chart.id, "spec": chart.spec} for chart in charts],
            header=header,
            rows=rows,
            tables=[] if report.spiking is None else tables_of(report.spiking),
            style=style + _text("page.css"),
            scripts=scripts,
            hashes=[*map(_hash, scripts)],
        )
    )
    return text


def _text(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
