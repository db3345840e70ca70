"""Flower in a real browser, against the running worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.browser.conftest import Product
from tests.support.suite.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_flower_shows_the_worker_and_its_tasks(
    page: Page, product: Product, picture: Callable[..., None]
) -> None:
    page.goto(f"{product.flower_url}/workers")
    page.locator("#workers-table").get_by_text("celery@").wait_for()
    page.get_by_text("Online", exact=True).first.wait_for()

    page.goto(f"{product.flower_url}/tasks")
    page.locator("#tasks-table").get_by_text("workers.tasks.sweep_mail").first.wait_for()
    page.set_viewport_size({"width": 1600, "height": 800})  # as wide as the table
    rows = page.locator("#tasks-table tbody tr")
    last = rows.nth(min(rows.count(), 10) - 1).bounding_box()
    page.set_viewport_size({"width": 1600, "height": round(last["y"] + last["height"])})
    picture(page, "flower")


def test_flower_asks_for_a_password(product: Product) -> None:
    for path in ("/", "/workers", "/tasks", "/api/workers"):
        with pytest.raises(HTTPError) as refused:
            urlopen(product.flower_url + path, timeout=PATIENCE_SECONDS)
        assert refused.value.code == 401
