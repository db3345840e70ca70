"""The browser tests can fail: the witness sees a request that leaves, and an error; and Flower asks
for a password.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.browser.conftest import Product
from tests.browser.witness import Witness

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_witness_sees_what_leaves_and_what_is_complained_of(
    browser: Browser, product: Product
) -> None:
    context = browser.new_context()
    witness = Witness(context, product.url)
    page = context.new_page()

    page.goto(f"{product.url}/livez")
    assert (witness.elsewhere(), witness.complaints) == ([], [])
    page.evaluate("document.body.innerHTML = '<img src=\"http://tracker.invalid/x.png\">'")
    page.evaluate("new WebSocket('ws://tracker.invalid/y')")
    page.evaluate("fetch('http://127.0.0.1:9/z').catch(() => {})")
    page.evaluate("setTimeout(() => { throw new Error('a defect') })")
    page.wait_for_timeout(200)

    context.close()
    assert sorted(witness.elsewhere()) == [
        "http://127.0.0.1:9/z",
        "http://tracker.invalid/x.png",
        "ws://tracker.invalid/y",
    ]
    assert any("a defect" in complaint for complaint in witness.complaints)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_browser_that_cannot_be_had_is_told_and_in_ci_a_failure(
    monkeypatch, tmp_path, ci, outcome
) -> None:
    """Neither Chromium nor apt-get is on this PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    told = "Chromium is missing: install it (Debian, as root: apt-get install chromium)."

    with pytest.raises(outcome, match=re.escape(told)):
        chromium.path_or_skip()


def test_playwright_that_cannot_be_installed_is_told(monkeypatch, tmp_path) -> None:
    """The index that pip is pointed at is not there."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"marquee-has-no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(chromium, "LOCK", lock)
    monkeypatch.setattr(chromium, "find_spec", lambda name: None)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")

    with pytest.raises(
        chromium.CannotBeHad, match="Playwright is missing, and pip could not install it: "
    ):
        chromium.require_playwright()
