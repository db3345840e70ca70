"""The browser tests can fail: the witness sees a request that leaves, and an error; and Flower asks for a password."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Product
from tests.browser.witness import Witness
from tests.up import BASE_DIR

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.xdist_group("browser")


def test_the_witness_sees_what_leaves_and_what_is_complained_of(browser: Browser, product: Product) -> None:
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


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_browser_that_cannot_be_had_is_told_and_in_ci_a_failure(tmp_path, ci: str, outcome: str) -> None:
    """Neither Chromium nor apt-get is on this PATH."""
    test = "tests/browser/test_documentation.py::test_redoc_names_every_call"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", test],
        cwd=BASE_DIR,
        env=os.environ | {"PATH": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
    )

    assert outcome in done.stdout.splitlines()[-1], done.stdout
    assert "Chromium is missing: install it (Debian, as root: apt-get install chromium)." in done.stdout
