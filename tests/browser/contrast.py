"""How well the texts of a page stand out from what is behind them, as WCAG measures it: 4.5 is
readable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

READABLE = 4.5
TEXTS = """() => {
  const desk = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {  // of any notation: the browser draws a dot in it
    desk.clearRect(0, 0, 1, 1);
    desk.fillStyle = colour;
    desk.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = desk.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const over = (top, below) => top.rgb.map((value, i) => value * top.alpha + below[i] * (1 - top.alpha));
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = channels(getComputedStyle(element).backgroundColor);
    return colour.alpha === 1 ? colour.rgb : over(colour, behind(element.parentElement));
  };
  const ground = (element) => {  // a seat's number stands in its seat
    const seat = element.matches("svg text:not([class])") && element.parentElement.querySelector("path");
    return seat ? channels(getComputedStyle(seat).fill).rgb : behind(element);
  };
  const measured = (element, text, colour) => {
    const below = ground(element);
    const ink = channels(colour);
    for (let each = element; each; each = each.parentElement) ink.alpha *= Number(getComputedStyle(each).opacity);
    return { text: text.trim(), ratio: Math.round(ratio(over(ink, below), below) * 100) / 100 };
  };
  const own = (element) =>
    [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("");
  const said = [...document.body.querySelectorAll(":not(script, style, title, option, .material-symbols-outlined)")];
  const found = said.filter((element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }));
  const texts = found.filter((element) => own(element).trim()).map((element) => {
    const style = getComputedStyle(element);
    return measured(element, own(element), element instanceof SVGElement ? style.fill : style.color);
  });
  const hints = found.filter((element) => element.placeholder && !element.value).map((element) =>
    measured(element, element.placeholder, getComputedStyle(element, "::placeholder").color));
  return [...texts, ...hints];
}"""


def of_texts(page: Page) -> dict[str, float]:
    """Each text that is seen, with its worst contrast."""
    found: dict[str, float] = {}
    for told in page.evaluate(TEXTS):
        found[told["text"]] = min(told["ratio"], found.get(told["text"], 21))
    return found


def unreadable(page: Page) -> dict[str, float]:
    return {text: ratio for text, ratio in of_texts(page).items() if ratio < READABLE}
