from __future__ import annotations

import builtins
import sys
from importlib import metadata

import pytest

from snnconvert.converter.reports.page import bundles
from snnconvert.errors import DependencyError, SnnconvertError


def _absent(monkeypatch, name):
    """Make a package one that is not installed."""
    imported = builtins.__import__

    def without(module, *rest):
        if module == name:
            raise ImportError(module)
        return imported(module, *rest)

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize(
    ("package", "module", "function"),
    [
        ("jinja2", "jinja2", bundles.environment),
        ("vl-convert-python", "vl_convert", bundles.plots.__wrapped__),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, package, module, function):
    _absent(monkeypatch, module)
    with pytest.raises(DependencyError, match=rf"'{package}'.*snnconvert\[report\]"):
        function()


def test_missing_tables_are_named(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(DependencyError, match=r"'itables'.*snnconvert\[report\]"):
        bundles.tables.__wrapped__()


def test_nothing_of_a_library_ends_the_element_that_it_stands_in():
    script, style = bundles.tables()
    for text in (script, bundles.plots()):
        assert "</script" not in text
    assert "</style" not in style and "@import" not in style
    assert script.count("window.DataTable = ") == 1


def test_tables_in_another_form_are_told(monkeypatch, tmp_path):
    class Other:
        version = "99.0"

        def locate_file(self, name):
            (path := tmp_path / "bundle").write_text("export default 1")
            return path

    monkeypatch.setattr(metadata, "distribution", lambda name: Other())
    with pytest.raises(SnnconvertError, match=r"itables 99\.0 .*snnconvert\[report\]"):
        bundles.tables.__wrapped__()
