"""The site is built without a warning, with tables that are those of the code."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from snnconvert.ops.kinds import KINDS
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.targets import FUNCTIONS
from snnconvert.rules import bundled_rules
from snnconvert.rules.schema import RuleFile
from tests.docs.pages import PAGES, ROOT

pytest.importorskip("sphinx")


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", str(ROOT / "docs"), str(ROOT)]
    ran = subprocess.run([*command, str(site)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return site


def codes(site: Path, page: str) -> set[str]:
    """Return what a page sets as code."""
    html = (site / "docs" / f"{page}.html").read_text(encoding="utf-8")
    found = re.findall(r'<code class="[^"]*">(.*?)</code>', html, re.DOTALL)
    return {unescape(re.sub(r"<[^>]+>", "", code)) for code in found}


def test_the_site_begins_at_the_first_page(site: Path) -> None:
    assert "docs/index.html" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "docs" / "index.html").exists()


def test_every_op_kind_and_target_has_its_row(site: Path) -> None:
    assert codes(site, "operators") >= {*KINDS, *FUNCTIONS}


def test_every_key_and_every_bundled_file_is_there(site: Path) -> None:
    assert codes(site, "rule-files") >= {*RuleFile.model_fields, *bundled_rules()}


def test_every_neuron_type_is_there(site: Path) -> None:
    assert codes(site, "neurons") >= {*NEURONS}


def test_every_command_is_there(site: Path) -> None:
    page = (site / "docs" / "command-line.html").read_text(encoding="utf-8")
    for command in ("snnconvert", "snnconvert tune", "snnconvert rules schema"):
        assert f"<h2>{command}<" in page


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runpy.run_path(str(ROOT / "docs" / "pictures.py"))["draw"](tmp_path / "stream.svg")
    assert "what it follows" in (tmp_path / "stream.svg").read_text(encoding="utf-8")


def test_comments_of_pages_are_places_of_tables() -> None:
    for page in PAGES:
        comments = re.findall(r"^.*<!--.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(re.fullmatch(r"<!-- table: [a-z ]+ -->", comment) for comment in comments), page


def test_a_table_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Title\n\n<!-- table: nothing -->\n")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", str(ROOT / "docs")]
    ran = subprocess.run(
        [*command, str(tmp_path), str(tmp_path / "site")], capture_output=True, text=True
    )
    assert ran.returncode != 0 and "nothing" in ran.stderr
