"""A hall as a picture (SVG), for the staff's page and for everybody.

The screen is in front, the seats are in rows behind it.

What a seat is differs in its shape as well as in its colour, so that nobody needs the colours to
tell.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from math import ceil, sqrt
from typing import NamedTuple

# of the seats' grid; the room for row numbers, for legend and screen
PITCH, LEFT, TOP, BOTTOM = (
    24,
    44,
    86,
    16,
)
NARROWEST, WIDEST = 8, 60  # seats in a row
NUMBERED = 30  # seats in a row up to which a seat's number is readable in it
SQUARE = "m3 0h14q3 0 3 3v14q0 3-3 3h-14q-3 0-3-3v-14q0-3 3-3z"
CROSSED = f"{SQUARE}m2 5l10 10m0-10l-10 10"
SHAPES = {
    "free": SQUARE,
    "chosen": "m10 0a10 10 0 1 0 .1 0zm-5 10l4 4 7-8",
    "held": "m10-1l11 11-11 11-11-11z",
    "booked": CROSSED,
    "taken": CROSSED,
}
# Colours that people with any kind of colour blindness keep apart; each drawing names its own by
# these letters.
STYLE = """.hall{--back:#fff;--line:#5b6472;--free:#fff;--text:#374151;--held:#e69f00;--sold:#4b5563;--mine:#0072b2;
--cross:#fff;--note:#b42318;font:9px Inter,system-ui,sans-serif}
.hall text{fill:var(--text);text-anchor:middle;pointer-events:none}
.hall .row{fill:var(--line);text-anchor:end}.hall .entry{font-size:12px;text-anchor:start}
.hall .back{fill:var(--back)}.hall .note{fill:var(--note);font-weight:700}
.hall .screen{fill:none;stroke:var(--line);stroke-width:3;stroke-linecap:round}
.hall .free{fill:var(--free);stroke:var(--line)}.hall .held{fill:var(--held);stroke:var(--text)}
.hall .booked,.hall .taken{fill:var(--sold);stroke:var(--cross);stroke-width:1.5}
.hall .chosen{fill:var(--mine);stroke:var(--cross);stroke-width:2}
.hall a{text-decoration:none}.hall a:focus{outline:none}
.hall a:hover path,.hall a:focus path{stroke:var(--mine);stroke-width:3}
.hall a:is(:hover,:focus) :is(.chosen,.booked){stroke:var(--cross);
filter:drop-shadow(0 0 1.5px var(--mine)) drop-shadow(0 0 1.5px var(--mine))}"""
DARK = """--back:#111827;--line:#9ca3af;--free:#1f2937;--text:#e5e7eb;--sold:#9ca3af;--mine:#56b4e9;--cross:#111827;
--note:#fda29b"""


class Seat(NamedTuple):
    """How a seat is drawn: `kind` is one of SHAPES, `title` is read out, a `link` can be pressed."""

    kind: str
    title: str
    link: str = ""


def row_width(total_seats: int) -> int:
    """Return the seats in a row, for a hall somewhat wider than deep. It has no rows yet."""
    return min(WIDEST, max(NARROWEST, ceil(sqrt(total_seats * 1.6))), total_seats)


def draw(
    total_seats: int,
    seat: Callable[[int], Seat],
    kinds: Sequence[str],
    *,
    alone: bool = False,
    note: str = "",
) -> str:
    """Return the picture. `kinds` are in the legend; a `note`, of one word, is at the screen.

    A picture that stands `alone` goes by the reader's own light or dark, on a ground of its own:
    the page around it may do otherwise.
    """
    width = row_width(total_seats)
    rows = ceil(total_seats / width)
    is_wide = width > NUMBERED
    seats = [(number, seat(number)) for number in range(1, total_seats + 1)]
    counts = Counter(drawn.kind for _, drawn in seats)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in kinds)
    if note:
        summary += f"; {note}"
    legend_width = 24 + sum(_entry_width(kind, counts) for kind in kinds)
    right = max(LEFT + width * PITCH + 20, legend_width)
    bottom = TOP + rows * PITCH + BOTTOM
    scale = 1 if alone or is_wide else 1.6  # large enough to be pressed
    dark = f".dark .hall{{{DARK}}}"
    ground = ""
    if alone:
        dark = f"@media (prefers-color-scheme:dark){{.hall{{{DARK}}}}}"
        ground = '<rect class="back" width="100%" height="100%" rx="6"/>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{"hall wide" if is_wide else "hall"}"',
        f' viewBox="0 0 {right} {bottom}"',
        f' width="{round(right * scale)}" height="{round(bottom * scale)}" data-width="{width}"',
        f' role="group" aria-label="Seats: {summary}">',
        f"<style>{STYLE}{dark}</style>",
        ground,
    ]
    parts += _legend(kinds, counts, 6)
    parts.append(_screen(width, note))
    parts += [_seat(number, drawn, width) for number, drawn in seats]
    parts += [_row(first, width) for first in range(1, total_seats + 1, width)]
    parts.append("</svg>")
    return "".join(parts)


def _screen(width: int, note: str) -> str:
    left = LEFT
    right = LEFT + width * PITCH - 4
    middle = (left + right) // 2
    curve = f'<path class="screen" d="M{left} 58Q{middle} 40 {right} 58"/>'
    style = "note" if note else "name"
    words = note.upper() or "SCREEN"
    return f'{curve}<text class="{style}" x="{middle}" y="68">{words}</text>'


def _place(number: int, width: int) -> tuple[int, int]:
    row, column = divmod(number - 1, width)
    return LEFT + column * PITCH, TOP + row * PITCH


def _seat(number: int, seat: Seat, width: int) -> str:
    x, y = _place(number, width)
    title = f"<title>{escape(seat.title)}</title>"
    path = f'<path class="{seat.kind}" d="M{x} {y}{SHAPES[seat.kind]}">'
    name = ""
    if seat.kind == "free" and width <= NUMBERED:
        name = f'<text x="{x + 10}" y="{y + 13}">{number}</text>'
    if not seat.link:
        return f"{path}{title}</path>{name}"
    return f'<a href="{escape(seat.link)}" data-seat="{number}">{title}{path}</path>{name}</a>'


def _row(first: int, width: int) -> str:
    _, y = _place(first, width)
    return f'<text class="row" x="{LEFT - 8}" y="{y + 13}">{first}</text>'


def _entry_width(kind: str, counts: Counter[str]) -> int:
    return 40 + 8 * len(f"{counts[kind]} {kind}")  # wide enough for any reader's font


def _legend(kinds: Sequence[str], counts: Counter[str], y: int) -> list[str]:
    drawn = []
    x = 12
    for kind in kinds:
        words = f"{counts[kind]} {kind}"
        drawn.append(f'<path class="{kind}" d="M{x} {y}{SHAPES[kind]}"/>')
        drawn.append(f'<text class="entry" x="{x + 26}" y="{y + 14}">{words}</text>')
        x += _entry_width(kind, counts)
    return drawn
