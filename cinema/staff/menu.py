"""The menu beside every staff page: in the order a clerk needs it, as far as he may see it."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

Item = dict[str, Any]
MENU: list[tuple[str, list[tuple[str, str, str, str]]]] = [
    ("", [("Tonight", "dashboard", "admin:index", "")]),
    (
        "Box office",
        [
            ("Shows", "theaters", "admin:cinema_show_changelist?day=week", "cinema.view_show"),
            (
                "Bookings",
                "confirmation_number",
                "admin:cinema_booking_changelist",
                "cinema.view_booking",
            ),
            (
                "Mails and history",
                "mail",
                "admin:cinema_bookingevent_changelist",
                "cinema.view_bookingevent",
            ),
            (
                "Password mails",
                "lock_reset",
                "admin:cinema_passwordreset_changelist",
                "cinema.view_passwordreset",
            ),
            ("Customers", "group", "admin:cinema_user_changelist", "cinema.view_user"),
        ],
    ),
    (
        "Programme",
        [
            ("Films", "movie", "admin:cinema_movie_changelist", "cinema.view_movie"),
            ("Screens", "tv", "admin:cinema_screen_changelist", "cinema.view_screen"),
        ],
    ),
    (
        "Administration",
        [
            ("Groups", "groups", "admin:auth_group_changelist", "auth.view_group"),
            ("Logins", "login", "admin:cinema_authsession_changelist", "cinema.view_authsession"),
            ("Lock-outs", "lock", "admin:axes_accessattempt_changelist", "axes.view_accessattempt"),
            ("What staff did", "history", "admin:admin_logentry_changelist", "admin.view_logentry"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[Item]:
    """Return unfold's sidebar."""
    groups = []
    for title, entries in MENU:
        items = [
            {"title": name, "icon": icon, "link": _address(page)}
            for name, icon, page, permission in entries
            if not permission or request.user.has_perm(permission)
        ]
        groups.append({"title": title, "separator": bool(title), "items": items})
    return [group for group in groups if group["items"]]


def _address(page: str) -> str:
    name, mark, query = page.partition("?")
    return reverse(name) + mark + query
