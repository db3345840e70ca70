"""Pages that stay open: what changes is seen without a reload, and where it no longer can be, they
say so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.clerk import free_seats, seat
from tests.browser.conftest import Product

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ASK_AT_ONCE = "document.dispatchEvent(new Event('visibilitychange'))"
DOWN = "() => { window.answering = fetch; window.fetch = () => Promise.reject(new TypeError('Failed to fetch')) }"
UP_AGAIN = "() => { window.fetch = window.answering }"
# While the answer comes in, the clerk writes another seat.
SLOW = """number => {
  const answering = fetch;
  window.fetch = async (...asked) => {
    window.fetch = answering;
    const answer = await answering(...asked);
    const text = async () => {
      const html = await answer.text();
      document.getElementById("seats").value = number;
      window.late = true;
      return html + "<i id=late></i>";
    };
    return { ok: true, status: 200, type: "basic", text };
  };
}"""


@pytest.fixture(params=["now-message", "hall-message"])
def line(request: pytest.FixtureRequest, page: Page, tonight: Locator) -> Locator:
    """Of the front page, or of a hall."""
    if request.param == "hall-message":
        tonight.click()
        page.get_by_role("heading", name="Book at the counter").wait_for()
    return page.locator(f"#{request.param}")


def test_an_open_page_says_that_nobody_answers_and_that_the_session_has_ended(
    page: Page, line: Locator
) -> None:
    page.evaluate(ASK_AT_ONCE)
    page.wait_for_timeout(500)
    assert (line.get_attribute("role"), line.is_visible()) == ("status", False)

    page.evaluate(DOWN)
    page.evaluate(ASK_AT_ONCE)
    line.filter(
        has_text=re.compile(r"^Marquee does not answer; .+ is from \d\d:\d\d\.$")
    ).wait_for()

    page.evaluate(UP_AGAIN)
    page.evaluate(ASK_AT_ONCE)
    line.wait_for(state="hidden")

    page.context.clear_cookies()
    page.evaluate(ASK_AT_ONCE)
    ended = re.compile(r"^You are logged out; .+ is from \d\d:\d\d\. Reload the page to log in\.$")
    line.filter(has_text=ended).wait_for()


def test_tonight_turns_by_itself_and_the_keyboard_stays_where_it_was(
    page: Page, product: Product, tonight: Locator
) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    figure = page.locator(f"a[data-show='{show_id}'] .desk-numbers b").first
    sold = int(figure.inner_text())
    tonight.focus()
    page.evaluate("window.same = true")

    body = {"seat_number": free_seats(product, show_id)[-1]}
    product.ask(f"/api/shows/{show_id}/book/", body, product.token_of("admin"))

    page.evaluate(ASK_AT_ONCE)
    figure.filter(has_text=re.compile(f"^{sold + 1}$")).wait_for()
    assert page.evaluate("[window.same, document.activeElement.dataset.show]") == [
        True,
        str(show_id),
    ]


def test_an_answer_to_what_is_no_longer_chosen_is_not_drawn(
    page: Page, product: Product, tonight: Locator
) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    number = free_seats(product, show_id)[0]
    tonight.click()
    seat(page, number, "free").wait_for()

    page.evaluate(SLOW, str(number))
    page.evaluate(ASK_AT_ONCE)

    page.wait_for_function("window.late")
    page.wait_for_timeout(100)
    assert page.locator("#late").count() == 0
    seat(page, number, "chosen").wait_for()  # by the next answer
