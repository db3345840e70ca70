"""A clerk in a real browser: from the front page to a booked seat, to its booking again, and to its
cancelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.clerk import cancel, find, free_seats, log_in, seat
from tests.browser.conftest import Product

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def test_a_clerk_books_finds_and_cancels_a_seat(
    page: Page, product: Product, tonight: Locator, picture: Callable[..., None]
) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    page.locator("#mails a").filter(has_text=re.compile(r"^\s*0 owed")).wait_for()  # by itself
    summary = page.locator("#summary").filter(has_text="All runs").bounding_box()
    assert summary["y"] + summary["height"] < page.viewport_size["height"]  # seen without scrolling
    picture(page, "dashboard", whole=True)
    taken = product.ask(f"/api/shows/{show_id}/seats/")["taken"]
    number = free_seats(product, show_id)[0]

    tonight.click()
    page.get_by_role("heading", name="Book at the counter").wait_for()
    onlooker = page.context.new_page()
    onlooker.goto(page.url)
    seat(page, number, "free").click()
    seat(page, number, "chosen").wait_for()
    page.get_by_role("button", name="Book…").click()
    page.get_by_role("button", name="Yes").click()

    seat(page, number, "booked").wait_for()
    seat(
        onlooker, number, "booked"
    ).wait_for()  # by itself: the picture is fetched every few seconds
    reference = re.search(r"Booked: (\w+), seat", page.locator("body").inner_text())[1]
    assert product.ask(f"/api/shows/{show_id}/seats/")["taken"] == sorted([*taken, number])

    find(page, product, reference)
    cancel(page)

    page.goto(f"{product.url}/admin/cinema/show/{show_id}/seats/")
    seat(page, number, "free").wait_for()
    assert product.ask(f"/api/shows/{show_id}/seats/")["taken"] == taken


def test_a_clerk_frees_a_hold_at_its_seat(page: Page, product: Product, tonight: Locator) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    token = product.token_of("programme")
    number = free_seats(product, show_id)[0]
    hold = product.ask(f"/api/shows/{show_id}/hold/", {"seat_number": number}, token)

    tonight.click()
    seat(page, number, "held").click()
    page.get_by_role("link", name=hold["reference"], exact=True).wait_for()
    page.get_by_role("button", name="Free the hold…").click()
    page.get_by_role("button", name="Yes").click()

    seat(page, number, "free").wait_for()
    assert product.ask(f"/api/bookings/{hold['id']}/", token=token)["status"] == "cancelled"


def test_every_page_of_the_menu_asks_nothing_of_the_internet(page: Page, product: Product) -> None:
    """What they ask for, and what they complain of, is judged behind every test of this folder."""
    log_in(page, product, "admin")
    menu = page.locator(
        "a[href^='/admin/cinema/'], a[href^='/admin/auth/'], a[href^='/admin/axes/']"
    )
    paths = {str(link.get_attribute("href")).partition("?")[0] for link in menu.all()}
    paths |= {"/admin/password_change/", "/admin/cinema/show/add/", "/admin/cinema/show/1/change/"}
    assert len(paths) > 10

    for path in sorted(paths):
        answer = page.goto(product.url + path)
        assert (answer.status, path) == (200, path)
    page.goto(f"{product.url}/admin/")
    page.emulate_media(color_scheme="dark")
