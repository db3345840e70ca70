"""A real Chromium in front of the real product: `manage.py up` with its demo data, on free ports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from project.management.commands.seed_demo import PASSWORD
from tests.browser import chromium, clerk, pictures
from tests.browser.witness import Witness
from tests.support.suite.patience import PATIENCE_SECONDS
from tests.support.up import BASE_DIR, READY, UP, Up

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

FLOWER_LOGIN = {"username": "operator", "password": "night-shift"}


class Product(Up):
    """The running product, and its API as a customer's program calls it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.flower_port}"

    def ask(self, path: str, body: object = None, token: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        with urlopen(Request(self.url + path, data, headers), timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def token_of(self, username: str) -> str:
        return str(self.ask("/api/login/", {"username": username, "password": PASSWORD})["access"])


# Scoped to the package: while Playwright runs, Django takes this thread for one that must not ask a
# database.
@pytest.fixture(scope="package")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Install what is missing only for a run that names this folder, and in CI: a run of the whole
    suite does without rather than wait for a download.
    """
    asked = any("tests/browser" in argument for argument in request.config.args)
    path = chromium.path_or_skip(may_install=asked or bool(os.environ.get("CI")))
    # it may have come in this second
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=chromium.flags())


@pytest.fixture(scope="package")
def product(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    login = f"{FLOWER_LOGIN['username']}:{FLOWER_LOGIN['password']}"
    no_throttles = {"THROTTLE_BOOKING": "", "THROTTLE_LOGIN": ""}
    product = Product(
        tmp_path_factory.mktemp("browser"),
        TIME_ZONE=where_it_is_noon(),
        FLOWER_BASIC_AUTH=login,
        **no_throttles,
    )
    try:
        product.wait_for(UP)
        product.wait_for(READY)
        yield product
        assert product.end() == 0
    finally:
        product.popen.kill()  # its guardian sees to the rest


@pytest.fixture(scope="package")
def crowd(product: Product) -> None:
    """Halls that look like those of a good evening: more seats of the next shows booked, and some
    held.
    """
    token, chance = product.token_of("customer"), Random(7)
    films = product.ask("/api/movies/")["items"]
    shows = [
        show for film in films for show in product.ask(f"/api/movies/{film['id']}/shows/")["items"]
    ]
    for show in sorted(shows, key=lambda show: str(show["date_time"]))[:12]:
        taken = set(product.ask(f"/api/shows/{show['id']}/seats/")["taken"])
        for deed in ["book"] * chance.randint(1, 4) + ["hold"]:
            free = [seat for seat in range(1, show["total_seats"] + 1) if seat not in taken]
            first = chance.randrange(len(free) - 6)
            seats = free[first : first + chance.randint(2, 6)]
            taken |= set(seats)
            product.ask(f"/api/shows/{show['id']}/{deed}/", {"seat_numbers": seats}, token)


def where_it_is_noon() -> str:
    """The cinema's zone, in which the demo programme has shows for tonight, whatever the hour of
    this run.
    """
    hours = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"  # east of Greenwich is minus there


@pytest.fixture
def context(browser: Browser, product: Product) -> Iterator[BrowserContext]:
    """A fresh profile. Whatever a test does in it: nothing is asked of another machine, and no page
    complains.
    """
    login = FLOWER_LOGIN | {"origin": product.flower_url}
    context = browser.new_context(
        viewport={"width": 1280, "height": 800},
        http_credentials=login,
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    witness = Witness(context, product.url, product.flower_url)
    yield context
    context.close()
    assert witness.requests
    assert witness.elsewhere() == []
    assert witness.complaints == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def tonight(page: Page, product: Product, crowd: None) -> Locator:
    """The first show of tonight, on the front page of a clerk who has just logged in."""
    clerk.log_in(page, product, "boxoffice")
    page.get_by_role("heading", name="Tonight", level=2).wait_for()
    return page.locator("#tonight a[data-show]").first


@pytest.fixture
def picture() -> Callable[..., None]:
    """Keeps what a page shows in the folder that PICTURES names; without it, a run keeps none."""

    def keep(page: Page, name: str, *, whole: bool = False) -> None:
        if folder := os.environ.get("PICTURES"):
            pictures.keep(page, BASE_DIR / folder / f"{name}.png", whole=whole)

    return keep
