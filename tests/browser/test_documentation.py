"""Swagger and ReDoc in a real browser: they show what OpenAPI says, and Swagger's calls work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.conftest import Product

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

BOOK = "/api/shows/{show_id}/book/"
TO_THE_TOP = "heading => { heading.style.scrollMarginTop = '8px'; heading.scrollIntoView(); }"


def test_book_by_try_it_out(page: Page, product: Product, picture: Callable[..., None]) -> None:
    token, seat = product.token_of("customer"), 42
    assert seat not in product.ask("/api/shows/1/seats/")["taken"]
    page.goto(f"{product.url}/swagger/")

    authorize(page, token)
    status, body = try_it_out(operation(page, BOOK), "1", {"seat_number": seat})

    assert (status, body["status"], body["seat_number"]) == ("201", "booked", seat)
    assert seat in product.ask("/api/shows/1/seats/")["taken"]
    assert (
        product.ask(f"/api/bookings/{body['id']}/", token=token)["reference"] == body["reference"]
    )
    page.get_by_role("heading", name="Request URL").evaluate(TO_THE_TOP)
    answer = page.locator(".live-responses-table").bounding_box()
    page.set_viewport_size({"width": 1280, "height": round(answer["y"] + answer["height"]) + 8})
    picture(page, "swagger")


def test_redoc_names_every_call(page: Page, product: Product, picture: Callable[..., None]) -> None:
    paths = product.ask("/api/openapi.json")["paths"]
    summaries = [call["summary"] for calls in paths.values() for call in calls.values()]
    assert len(summaries) > 15

    page.goto(f"{product.url}/redoc/")

    page.locator("h2", has_text="Book seats").wait_for()
    shown = {text.strip() for text in page.locator("h2").all_inner_texts()}
    assert sorted(set(summaries) - shown) == []
    page.locator("h2", has_text="Book seats").evaluate(TO_THE_TOP)
    picture(page, "redoc")


def authorize(page: Page, token: str) -> None:
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(token)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close", exact=True).click()


def operation(page: Page, path: str) -> Locator:
    return page.locator(".opblock", has=page.locator(f'[data-path="{path}"]'))


def try_it_out(
    call: Locator, show_id: str, body: dict[str, object]
) -> tuple[str, dict[str, object]]:
    """Status and body as Swagger shows them below the call."""
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_placeholder("show_id").fill(show_id)
    call.locator("textarea.body-param__text").fill(json.dumps(body))
    call.get_by_role("button", name="Execute").click()
    answer = call.locator(".live-responses-table")
    status = answer.locator(".response-col_status").last.inner_text().split()[0]
    return status, json.loads(answer.locator(".highlight-code code").first.inner_text())
