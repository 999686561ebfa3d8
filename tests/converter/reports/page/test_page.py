from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from markupsafe import escape

from snnconvert.converter.reports.page.page import page_of
from tests.converter.reports.page.conftest import HOSTILE

SIZE = 3_000_000


class _Read(HTMLParser):
    """What of a page would ask a network, run, or stand in a table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.addresses += [value for name, value in attributes if name in ("src", "href")]


@pytest.mark.parametrize("name", ["exact", "spiking", "fully_spiking", "failed", "hostile"])
def test_a_page_is_whole_small_and_asks_no_network(name, request):
    report = request.getfixturevalue(name)
    page = page_of(report)
    read = _Read(page)
    assert len(page.encode()) < SIZE
    assert [x for x in read.addresses if not x.startswith("data:")] == []
    assert read.tags.count("script") == 4 and not read.handlers and "img" not in read.tags
    verdict = "Equivalent" if report.passed else "NOT equivalent"
    assert re.search(rf"<h2>{verdict}\b", page)
    assert str(escape(report.verdict())) in page


def test_the_verdict_and_the_degree_stand_before_all_else(spiking):
    page = page_of(spiking)
    body = page[page.index("<main>") :]
    assert body.index("Equivalent") < body.index("degree maps") < body.index("<figure")
    assert "2 samples" not in body and "4 samples" in body


def test_the_same_report_gives_the_same_bytes(spiking):
    again = type(spiking).from_dict(spiking.to_dict())
    assert page_of(spiking) == page_of(again)


def test_the_first_node_out_of_tolerance_is_marked(failed):
    page = page_of(failed)
    assert failed.first_failure == "gelu"
    assert '<tr data-node="gelu" class="failed">' in page
    assert "first out of tolerance: gelu" in page


def test_a_page_says_how_it_was_made(spiking):
    page, made = page_of(spiking), spiking.made
    assert made.calibration in page and f"torch {made.versions['torch']}" in page
    assert "spikes into maps and products" in page
    assert "extends" not in "".join(made.rules)


def test_what_a_stranger_named_is_text(hostile):
    page = page_of(hostile)
    assert HOSTILE not in page and "{{7*7}}" in page
    assert "as recorded, not verified here" in page
    # In the data of the plots no tag may end the element.
    specs = page[page.index('id="specs">') :]
    assert "<" not in specs[len('id="specs">') : specs.index("</script>")]


def test_of_a_report_of_before_there_were_nodes_a_page_is_made(spiking):
    data = spiking.to_dict()
    for name in ("nodes", "made"):
        del data[name]
    for layer in data["spiking"]["layers"]:
        del layer["inherited"], layer["added"]
    for site in data["spiking"]["sites"]:
        del site["rates"], site["drives"]
    page = page_of(type(spiking).from_dict(data))
    assert "It is not recorded." in page
    assert 'id="depth"' in page and 'id="rates"' not in page and 'id="drives"' not in page
