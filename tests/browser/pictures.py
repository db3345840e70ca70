"""Pictures for the README: what a page shows, as a PNG of 256 colours, which is half as large as
the browser's own.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

COLOURS = 256


def keep(page: Page, path: Path, *, whole: bool) -> None:
    from PIL import Image  # noqa: PLC0415 - comes with Playwright, by a lock of its own

    page.mouse.move(0, 0)
    if whole:  # as on a screen that is high enough: what is fixed to its lower edge is there too
        page.set_viewport_size(
            {"width": 1280, "height": page.evaluate("document.documentElement.scrollHeight")}
        )
    shown = Image.open(BytesIO(page.screenshot(animations="disabled")))
    path.parent.mkdir(parents=True, exist_ok=True)
    shown.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
