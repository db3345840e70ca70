"""Pictures for the README: what a page shows, as a PNG of 256 colours, which is half as large as the browser's own."""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS = 256
PIXELS = """async png => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const bytes = new Blob([context.getImageData(0, 0, image.width, image.height).data]);
  const reader = new FileReader();
  await new Promise(done => { reader.onload = done; reader.readAsDataURL(bytes); });
  return [image.width, reader.result.split(",")[1]];
}"""


def keep(page: Page, path: Path, *, whole: bool) -> None:
    page.mouse.move(0, 0)
    shown = page.screenshot(animations="disabled", full_page=whole)
    desk = page.context.new_page()  # a page with no policy against reading the picture
    width, pixels = desk.evaluate(PIXELS, base64.b64encode(shown).decode())
    desk.close()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png_of(base64.b64decode(pixels), width))


def png_of(pixels: bytes, width: int) -> bytes:
    """From red, green, blue and opacity, a byte each. The most frequent colours stay what they are."""
    colours = [pixels[at : at + 3] for at in range(0, len(pixels), 4)]
    palette, number = _palette(Counter(colours))
    height = len(colours) // width
    indexes = bytes(number[colour] for colour in colours)
    rows = b"".join(b"\0" + indexes[row * width : (row + 1) * width] for row in range(height))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", b"".join(palette))]
    parts += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts))


def _palette(exact: Counter[bytes]) -> tuple[list[bytes], dict[bytes, int]]:
    """At most COLOURS, and which of them each colour becomes: the most frequent one of those that are like it."""
    for bits in range(9):
        like: dict[bytes, bytes] = {}
        for colour, _ in exact.most_common():
            like.setdefault(bytes(value >> bits for value in colour), colour)
        if len(like) <= COLOURS:
            break
    place = {key: number for number, key in enumerate(like)}
    return list(like.values()), {colour: place[bytes(value >> bits for value in colour)] for colour in exact}


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    kind, data = part
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
