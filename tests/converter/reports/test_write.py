from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from snnconvert.converter.reports import write
from snnconvert.converter.reports.equivalence import EquivalenceReport, LeafError
from snnconvert.errors import SnnconvertError

REPORT = EquivalenceReport(
    passed=True,
    max_abs_error=0.0,
    max_rel_error=0.0,
    source_rel_error=None,
    tolerance=1e-9,
    dtype="float64",
    time_steps=3,
    leaves=(LeafError("y", (0.0,), 0.0, False),),
    kinds=(),
    first_failure=None,
)


def test_the_suffix_says_the_form(tmp_path):
    for suffix in (*write.FORMS, ".JSON"):
        write.write_report(REPORT, tmp_path / f"r{suffix}")
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads(REPORT.to_json())
    assert (tmp_path / "r.md").read_text().startswith("# Equivalence: passed")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert ElementTree.parse(tmp_path / "r.xml").getroot().tag == "testsuites"


@pytest.mark.parametrize("name", ["r.txt", "r", "r.html.gz", "r\n.txt"])
def test_other_suffixes_are_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(SnnconvertError, match=r"\.json, \.md, \.html, \.xml, received") as found:
        write.write_report(REPORT, tmp_path / name)
    assert "\n" not in str(found.value) and not list(tmp_path.iterdir())


def test_a_form_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("before")

    def fails(report):
        raise SnnconvertError("no")

    monkeypatch.setattr(write, "FORMS", {".html": fails})
    with pytest.raises(SnnconvertError):
        write.write_report(REPORT, path)
    assert path.read_text() == "before"
