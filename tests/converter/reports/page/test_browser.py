"""The page in a real browser: the system's Chromium, without a screen and without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snnconvert.converter.reports.page.page import page_of

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
DESKTOP, PHONE = (1280, 800), (390, 844)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    of = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with of.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Open the page of a report; at the end nothing may have been complained of or asked for."""
    pages, complaints = [], []

    def open_page(report: Any, size: tuple[int, int] = DESKTOP, **options: Any) -> Any:
        path = tmp_path / "run.html"
        path.write_text(page_of(report), encoding="utf-8")
        width, height = size
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        own = (path.as_uri(), "data:", "blob:")
        complaints[:] = [said for said in complaints if not said.startswith(own)]
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not complaints


_RATES = "#rates path[aria-label*='step . answer']"


def _column(page: Any, number: int) -> list[str]:
    cells = page.locator(f"#node-table tbody td:nth-child({number})").all_inner_texts()
    return [cell.split("\n")[0] for cell in cells]


@pytest.mark.parametrize("name", ["exact", "spiking", "fully_spiking", "failed"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_opens_without_complaint_and_fits_the_screen(show, request, name, size):
    page = show(request.getfixturevalue(name), size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("#verdict h2").is_visible()
    plots = page.locator("figure").count()
    assert page.locator("figure .chart svg.marks").count() == plots >= 1
    for box in page.locator("figure .chart svg.marks").all():
        assert box.bounding_box()["width"] <= size[0]


def test_nodes_are_sorted_and_searched(show, spiking):
    page = show(spiking)
    header = page.locator("#node-table thead th")
    for order in ("ascending", "descending"):  # it is sorted a moment after the click
        header.filter(has_text="with spikes").click()
        page.locator(f"#node-table th[aria-sort={order}]").filter(has_text="with spikes").wait_for()
    found = [float(said) for said in _column(page, 5) if said != "-"]
    assert found == sorted(found, reverse=True) and len(found) == len(spiking.spiking.layers)
    worst = max(spiking.spiking.layers, key=lambda layer: layer.rel_error)
    assert _column(page, 2)[0] == worst.place.partition("'")[2].rstrip("'")
    page.locator(".dt-search input").fill("layer_norm")
    assert set(_column(page, 3)) == {"layer_norm"}


def test_what_is_chosen_in_a_plot_is_chosen_in_the_table(show, spiking):
    page = show(spiking)
    page.locator(".dt-search input").fill("nothing of this name")
    layers = spiking.spiking.layers
    page.locator(f"""#depth path[aria-label*="{layers[-1].place}"]""").last.click()
    chosen = page.locator("#node-table tr.chosen")
    assert chosen.count() == 1  # the search that hid it is taken back
    assert chosen.get_attribute("data-node") == layers[-1].name
    assert "head" in page.locator("#chosen").inner_text()
    assert page.locator("#drives select").input_value() == "head.input_neuron"
    page.locator("#chosen").click()
    page.wait_for_function(
        "() => { const box = document.querySelector('tr.chosen').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight; }"
    )


def test_a_site_that_is_chosen_shows_what_its_neurons_follow(show, spiking):
    page = show(spiking)
    cells = page.locator(_RATES)
    assert cells.count() == sum(len(s.rates) * len(s.rates[0]) for s in spiking.spiking.sites)
    cells.nth(9 * 3).click()
    site = spiking.spiking.sites[3].name
    assert page.locator("#drives select").input_value() == site
    layers = spiking.spiking.layers_by_site[site]
    assert page.locator("#node-table tr.chosen").get_attribute("data-node") == layers[0]


def test_what_is_chosen_in_the_table_is_shown_in_the_plots(show, spiking):
    page = show(spiking)
    before = page.locator("#depth").inner_html()
    (node,) = (node.name for node in spiking.nodes if node.path == "fc1")
    page.locator(f"#node-table tr[data-node={node}] td").first.click()
    page.wait_for_function(
        "before => document.querySelector('#depth').innerHTML != before", arg=before
    )
    assert page.locator("#drives select").input_value() == "fc1.input_neuron"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_reader(show, spiking, scheme):
    page = show(spiking, color_scheme=scheme)
    background = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(background)
    page.locator("#theme").click()
    second = page.evaluate(background)
    assert (first, second) in (_BOTH, _BOTH[::-1]) and (first == _BOTH[0]) == (scheme == "light")


_BOTH = ("rgb(255, 255, 255)", "rgb(20, 23, 28)")


def test_a_strangers_names_run_nothing(show, hostile):
    page = show(hostile)
    page.locator("#node-table tbody tr").first.click()
    page.locator(_RATES).first.hover()
    page.locator("#vg-tooltip-element.visible").wait_for()
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img").count() == 0


def test_the_policy_stops_what_escaping_would_have_missed(browser, tmp_path, exact):
    path = Path(tmp_path, "run.html")
    put = (
        "<script>hacked=1</script><img src=x onerror=hacked=1>"
        "<script src='data:text/javascript,globalThis.hacked=1'></script>"
        "<script type=module src='data:text/javascript,globalThis.hacked=1'></script></main>"
    )
    path.write_text(page_of(exact).replace("</main>", put), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    assert page.evaluate("typeof hacked") == "undefined"
    page.close()


def test_without_scripts_all_numbers_can_be_read(browser, tmp_path, spiking):
    path = Path(tmp_path, "run.html")
    path.write_text(page_of(spiking), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("#node-table tbody tr").count() == len(spiking.nodes)
    assert page.locator("#theme").is_hidden()
    context.close()
