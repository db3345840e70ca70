"""The staff's pages in a light and in a dark browser: whatever is written can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser import contrast
from tests.browser.clerk import free_seats, seat
from tests.browser.conftest import Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# What a chart writes is drawn and no text; here a text has its colour.
TICK = """() => {
  const chart = Chart.getChart(document.querySelector("#sales canvas"));
  const text = Object.assign(document.createElement("p"), { textContent: "a tick" });
  text.style.color = chart.scales.x.options.ticks.color;
  document.getElementById("sales").append(text);
}"""


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, page: Page) -> str:
    """What the clerk's system is set to."""
    page.emulate_media(color_scheme=request.param, reduced_motion="reduce")
    return str(request.param)


@pytest.fixture
def tonight(page: Page, scheme: str, tonight: Locator) -> Locator:
    """The front page, once it looks like that."""
    is_dark = "dark => document.documentElement.classList.contains('dark') === dark"
    page.wait_for_function(is_dark, arg=scheme == "dark")
    return tonight


def test_the_front_page_can_be_read(page: Page, tonight: Locator) -> None:
    page.evaluate(TICK)

    assert contrast.unreadable(page) == {}
    assert {"Tonight", "Find", "What the house runs on", "All runs", "a tick"} <= set(
        contrast.of_texts(page)
    )


def test_the_hall_and_its_question_can_be_read(
    page: Page, product: Product, scheme: str, tonight: Locator, picture: Callable[..., None]
) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    tonight.click()
    page.locator("svg a[data-seat]:has(.booked)").first.click()
    page.locator("#picked").wait_for()
    for number in free_seats(product, show_id)[:2]:
        seat(page, number, "free").click()
        seat(page, number, "chosen").wait_for()

    assert contrast.unreadable(page) == {}
    assert {"SCREEN", "Book…", "Cancel this booking…", "120"} <= set(contrast.of_texts(page))
    picture(page, "seat-map" if scheme == "light" else "seat-map-dark")

    page.get_by_role("button", name="Book…").click()
    page.get_by_role("button", name="Yes").wait_for()
    assert contrast.unreadable(page) == {}


def test_what_cannot_be_read_is_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(
        "<p style='color: #888'>grey</p><p style='color: #666'>dark</p><p style='opacity: .4'>pale</p>"
        "<div style='background: oklch(20% 0 0)'><p style='color: #444'>lost</p></div>"
        "<p hidden style='color: #fff'>hidden</p><input placeholder=hint><style>::placeholder{color: #ccc}</style>"
        "<svg><a><path style='fill: #777'/><text style='fill: #888'>5</text></a></svg>"
    )

    assert set(contrast.unreadable(page)) == {"grey", "lost", "pale", "hint", "5"}
    assert contrast.of_texts(page)["dark"] == 5.74
    page.close()
