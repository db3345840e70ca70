"""What the pages of a browser ask for, and what they complain of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

# ReDoc names its maker's logo, and the page's policy keeps the browser from asking for it: one
# line, and no request.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
KNOWN = re.compile(
    rf"Loading the image '{re.escape(LOGO)}' violates the following Content Security Policy directive"
)
NOT_SENT = {"data", "blob", "about"}


class Witness:
    """Watches every page of a context from its first request on."""

    def __init__(self, context: BrowserContext, *own: str) -> None:
        self.own = {urlsplit(url).netloc for url in own}
        self.requests: list[str] = []
        self.blocked: list[str] = []
        self.complaints: list[str] = []
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("requestfailed", self._failed)
        context.on("page", self._opened)
        context.on("console", self._printed)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def elsewhere(self) -> list[str]:
        """What was asked of another place than ours; what a page's own policy has blocked was not
        asked.
        """
        split = [(url, urlsplit(url)) for url in self.requests]
        foreign = [
            url
            for url, parts in split
            if parts.scheme not in NOT_SENT and parts.netloc not in self.own
        ]
        return [url for url in foreign if url not in self.blocked]

    def _failed(self, request: Request) -> None:
        if request.failure == "csp":
            self.blocked.append(request.url)

    def _opened(self, page: Page) -> None:
        page.on("websocket", lambda socket: self.requests.append(socket.url))

    def _printed(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not KNOWN.match(message.text):
            self.complaints.append(f"{message.location['url']}: {message.text}")
