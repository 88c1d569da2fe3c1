"""The page of a run in a browser: it opens in silence, fits every screen, and its table is used without a mouse."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parity_tests.report import as_html
from parity_tests.rule.record import Where
from parity_tests.rule.result import Result
from parity_tests.tests.support.results import ISOLATED, tap, whole_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium that is installed; none is fetched."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a result; in the end no page may have said or fetched anything."""
    said: list[str] = []
    fetched: list[str] = []
    contexts = []
    path = tmp_path / "page.html"

    def open_result(result: Result, **settings: Any) -> Any:
        path.write_text(as_html(result), encoding="utf-8")
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_result
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in fetched if not url.startswith("data:")} <= {path.as_uri()}


def names(page: Any) -> list[str]:
    return list(page.locator("#records tbody th code").all_inner_texts())


def many(count: int) -> Result:
    """Taps that each used a little more than the one before."""
    return Result(records=[tap(f"tap{i}", used=i / count) for i in range(count)])


LONG = "a_name_of_one_word_that_is_wider_than_a_phone_" * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_the_screen_in_the_colours_that_are_asked_for(width: int, scheme: str, open_page: Open) -> None:
    whole = whole_result()
    records = [*whole.records, tap(LONG, "different", 2.0), tap(f"{LONG}.{LONG}")]
    result = replace(whole, records=records, sources={LONG: {"reference": LONG, "port": LONG}}, warnings=[LONG])
    page = open_page(result, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator("#records tbody button").last.click()
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in background.strip("rgb()").split(",")) / 3
    assert (lightness > 128) == (scheme == "light")


def test_words_in_the_filter_keep_what_has_all_of_them(open_page: Open) -> None:
    page = open_page(many(120))
    page.get_by_label("Filter").fill("TAP11 isolated")
    assert names(page) == ["tap11", *(f"tap11{i}" for i in range(10))]
    page.get_by_label("Filter").fill("nowhere")
    assert names(page) == []
    assert page.get_by_role("status").inner_text() == "No comparison is like that."


def test_verdict_and_rung_are_filters_too(open_page: Open) -> None:
    page = open_page(whole_result())
    assert names(page) == ["p6"], "what differs is shown first"
    page.get_by_role("button", name="all 13").click()
    assert len(names(page)) == 13
    page.get_by_label("Rung").select_option("trajectory")
    assert names(page) == ["loss.01", "loss.02", "loss.03"]
    page.get_by_label("Rung").select_option("shapes")
    page.get_by_role("button", name="incomplete 1").click()
    assert names(page) == ["p3"]
    assert page.locator("#verdicts [aria-pressed=true]").inner_text() == "? incomplete 1"


def test_a_heading_sorts_and_says_so(open_page: Open) -> None:
    shuffled = [tap(name, used=used) for name, used in (("b10", 0.2), ("b9", 0.9), ("a", 0.5))]
    unmeasured = replace(tap("z"), difference=None, budget=None)
    page = open_page(Result(records=[*shuffled, unmeasured]))
    heading = page.locator("th[data-key=used]")
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    assert (names(page), heading.get_attribute("aria-sort")) == (["b9", "a", "b10", "z"], "descending")
    heading.get_by_role("button").click()
    assert (names(page), heading.get_attribute("aria-sort")) == (["z", "b10", "a", "b9"], "ascending")
    page.locator("th[data-key=name] button").click()
    assert (names(page), heading.get_attribute("aria-sort")) == (["a", "b9", "b10", "z"], "none")


def test_a_difference_that_has_no_number_is_sorted_as_the_worst(open_page: Open) -> None:
    missing = replace(tap("missing", "different"), difference=None, budget=None)
    page = open_page(Result(records=[tap("over", "different", 1e9), missing]))
    page.locator("th[data-key=used] button").click()
    assert names(page) == ["missing", "over"]


def test_a_row_is_opened_and_closed_by_keyboard(open_page: Open) -> None:
    page = open_page(whole_result())
    row = page.get_by_role("button", name="p6", exact=True)
    page.get_by_role("button", name="budget", exact=True).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "p6"
    page.keyboard.press("Enter")
    details = page.locator("#records tr.details")
    assert row.get_attribute("aria-expanded") == "true"
    for words in ("p6 is different", "2×8×8×256", "torch_retinanet/fpn.py:57", "1.0e-12", "×3e10"):
        assert words in details.inner_text()
    page.keyboard.press("Space")
    assert row.get_attribute("aria-expanded") == "false"
    assert details.count() == 0


def test_many_rows_are_shown_in_pages(open_page: Open) -> None:
    page = open_page(many(120))
    status, after = page.get_by_role("status"), page.get_by_role("button", name="Next")
    assert (len(names(page)), status.inner_text()) == (50, "1 to 50 of 120")
    after.click()
    after.click()
    assert (names(page)[-1], status.inner_text()) == ("tap119", "101 to 120 of 120")
    assert after.is_disabled()
    page.get_by_label("Filter").fill("tap1")
    assert status.inner_text() == "1 to 31 of 31"


def test_the_heat_map_shows_the_precision_and_mode_that_are_chosen(open_page: Open) -> None:
    small, single = (32, 64), Where(size=(64, 64), dtype="float32", mode="cascaded")
    wheres = {ISOLATED: 0.05, replace(ISOLATED, size=small): 0.15, single: 0.6}
    page = open_page(Result(records=[tap("stem", used=used, where=where) for where, used in wheres.items()]))
    heat = page.locator("#sizes")
    assert heat.locator("thead th").all_inner_texts() == ["tap", "64x64", "32x64"]
    assert heat.locator("td").all_inner_texts() == ["5 %", "15 %"]
    page.get_by_label("Precision").select_option("float32")
    page.get_by_label("Fed with").select_option("cascaded")
    assert heat.locator("td").all_inner_texts() == ["60 %"]
    assert heat.locator("td").get_attribute("class") == "shade s4"


def test_each_side_of_the_detections_can_be_taken_away(open_page: Open) -> None:
    page = open_page(whole_result())
    port = page.locator("#detections rect.port")
    assert port.is_visible()
    page.get_by_label("PyTorch port").uncheck()
    assert not port.is_visible()
    assert page.locator("#detections rect.box.reference").is_visible()


def test_names_run_nothing_and_the_policy_stops_what_would(open_page: Open) -> None:
    hostile = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>"
    page = open_page(Result(records=[tap(hostile, "different", 2.0)], reference=hostile, warnings=[hostile]))
    assert names(page) == [hostile]
    page.locator("#records tbody button").click()
    assert page.evaluate("window.hit") is None


def test_a_page_that_tries_to_fetch_is_stopped_by_its_policy(browser: Any, tmp_path: Path) -> None:
    text = as_html(whole_result()).replace("</main>", '<img src="other.png"><script>window.hit=1</script></main>')
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    page = browser.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("window.hit") is None
    page.close()
    assert sorted(next(word for word in ("image", "script") if word in text) for text in blocked) == ["image", "script"]


def test_without_scripts_the_top_is_there_and_what_needs_them_is_not(open_page: Open) -> None:
    page = open_page(whole_result(), java_script_enabled=False)
    for section in ("ladder", "modules", "training", "coverage"):
        assert page.locator(f"#{section}").is_visible()
    assert not page.locator("#records").is_visible()
    assert not page.locator("#sizes").is_visible()


def test_everything_that_is_used_has_a_name(open_page: Open) -> None:
    page = open_page(whole_result())
    for control in page.locator("button, select, input, summary, [role=region]").all():
        name = control.evaluate(
            "e => e.textContent.trim() || e.labels?.[0]?.textContent.trim() "
            "|| document.getElementById(e.getAttribute('aria-labelledby'))?.textContent"
        )
        assert name
