"""What a clerk does in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.management.commands.seed_demo import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Product


def log_in(page: Page, product: Product, username: str) -> None:
    page.goto(f"{product.url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{product.url}/admin/")


def free_seats(product: Product, show_id: int) -> list[int]:
    told = product.ask(f"/api/shows/{show_id}/seats/")
    return sorted(set(range(1, told["total_seats"] + 1)) - set(told["taken"]))


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
