"""How the staff's pages look: unfold's settings. All that they load are files of this machine."""

from django.http import HttpRequest
from django.templatetags.static import static


def _styles(_: HttpRequest) -> str:
    return static("staff/staff.css")


UNFOLD = {
    "SITE_TITLE": "Marquee",
    "SITE_HEADER": "Marquee",
    "SITE_SUBHEADER": "Box office and programme",
    "SITE_SYMBOL": "theaters",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "STYLES": [_styles],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("staff/icon.svg")}
    ],
    "DASHBOARD_CALLBACK": "cinema.staff.dashboard.fill_front_page",
    "SIDEBAR": {"show_search": False, "navigation": "cinema.staff.menu.navigation"},
    "COLORS": {
        # blue, which nobody takes for one of the seats' colours
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        },
    },
}
