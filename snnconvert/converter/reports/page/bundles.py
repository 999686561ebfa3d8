"""The libraries that a page brings along, from the packages that ship them."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from snnconvert.errors import DependencyError, SnnconvertError

_EXTRA, _PURPOSE = "report", "an HTML report"
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def check_packages() -> None:
    """Raise :class:`DependencyError` where a package that a page needs is missing."""
    environment()
    plots()
    tables()


def environment() -> Any:
    """Return what fills in the template, with all that is filled in escaped."""
    try:
        import jinja2
    except ImportError as error:
        raise DependencyError("jinja2", _EXTRA, _PURPOSE) from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "assets"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def plots() -> str:
    """Return Vega-Lite as a script that sets ``window.vegaEmbed``."""
    try:
        import vl_convert
    except ImportError as error:
        raise DependencyError("vl-convert-python", _EXTRA, _PURPOSE) from error
    script: str = vl_convert.javascript_bundle(_SNIPPET)
    return script.replace("</script", r"<\/script")


@cache
def tables() -> tuple[str, str]:
    """Return DataTables as a script that sets ``window.DataTable``, and its style."""
    try:
        package = metadata.distribution("itables")
    except metadata.PackageNotFoundError as error:
        raise DependencyError("itables", _EXTRA, _PURPOSE) from error
    module, style = (
        Path(str(package.locate_file(f"itables/html/dt_bundle.{kind}"))).read_text("utf-8")
        for kind in ("js", "css")
    )
    script, exports = _DEFAULT.subn(r"window.DataTable = \1", module)
    if exports != 1:
        raise SnnconvertError(
            f"itables {package.version} does not bring DataTables as a module with one default "
            "export, which an HTML report needs; pip install 'snnconvert[report]' brings one that "
            "does"
        )
    return script.replace("</script", r"<\/script"), style.replace("</style", r"<\/style")


# A page's policy names its scripts by their hashes, and a module that is imported has none.
_DEFAULT = re.compile(r"\bexport\s*\{[^}]*?([\w$]+) as default\b[^}]*\}")
