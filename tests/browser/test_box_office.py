"""A clerk in a real browser: from the front page to a booked seat, to its booking again, and to its cancelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from cinema.management.commands.seed_demo import PASSWORD
from tests.browser.conftest import Product

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def tonight(page: Page, product: Product, crowd: None) -> Locator:
    """The first show of tonight, on the front page of a clerk who has just logged in."""
    log_in(page, product, "boxoffice")
    page.get_by_role("heading", name="Tonight", level=2).wait_for()
    return page.locator("#tonight a[data-show]").first


def test_a_clerk_books_finds_and_cancels_a_seat(
    page: Page, product: Product, tonight: Locator, picture: Callable[..., None]
) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    picture(page, "dashboard", whole=True)
    taken = product.ask(f"/api/shows/{show_id}/seats/")["taken"]
    number = next(seat for seat in range(1, 40) if seat not in taken)

    tonight.click()
    page.get_by_role("heading", name="Book at the counter").wait_for()
    onlooker = page.context.new_page()
    onlooker.goto(page.url)
    seat(page, number, "free").click()
    seat(page, number, "chosen").wait_for()
    page.get_by_role("button", name="Book…").click()
    page.get_by_role("button", name="Yes").click()

    seat(page, number, "booked").wait_for()
    seat(onlooker, number, "booked").wait_for()  # by itself: the picture is fetched every few seconds
    picture(page, "seat-map")
    reference = re.search(r"Booked: (\w+), seats", page.locator("body").inner_text())[1]
    assert product.ask(f"/api/shows/{show_id}/seats/")["taken"] == sorted([*taken, number])

    find(page, product, reference)
    cancel(page)

    page.goto(f"{product.url}/admin/cinema/show/{show_id}/seats/")
    seat(page, number, "free").wait_for()
    assert product.ask(f"/api/shows/{show_id}/seats/")["taken"] == taken


def test_a_clerk_frees_a_hold_at_its_seat(page: Page, product: Product, tonight: Locator) -> None:
    show_id = int(tonight.get_attribute("data-show") or 0)
    token = product.token_of("programme")
    taken = product.ask(f"/api/shows/{show_id}/seats/")["taken"]
    number = next(seat for seat in range(1, 40) if seat not in taken)
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
    menu = page.locator("a[href^='/admin/cinema/'], a[href^='/admin/auth/'], a[href^='/admin/axes/']")
    paths = {str(link.get_attribute("href")).partition("?")[0] for link in menu.all()}
    paths |= {"/admin/password_change/", "/admin/cinema/show/add/", "/admin/cinema/show/1/change/"}
    assert len(paths) > 10

    for path in sorted(paths):
        answer = page.goto(product.url + path)
        assert (answer.status, path) == (200, path)
    page.goto(f"{product.url}/admin/")
    page.emulate_media(color_scheme="dark")


def log_in(page: Page, product: Product, username: str) -> None:
    page.goto(f"{product.url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{product.url}/admin/")


def seat(page: Page, number: int, kind: str) -> Locator:
    """The seat in the drawing, once it is of this kind."""
    return page.locator(f"svg a[data-seat='{number}']:has(.{kind})")


def find(page: Page, product: Product, reference: str) -> None:
    page.goto(f"{product.url}/admin/")
    page.get_by_label("Find a booking").fill(reference)
    page.get_by_role("button", name="Find", exact=True).click()
    page.locator("#result_list").get_by_text(reference).wait_for()


def cancel(page: Page) -> None:
    """The one booking of the list."""
    page.locator("#result_list input.action-select").check()
    page.locator("select[name=action]").select_option("cancel")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Yes, cancel them").click()
    page.get_by_text("Cancelled:").wait_for()
