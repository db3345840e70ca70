"""The admin's pages load nothing from elsewhere, by what they name and by what they allow; and
shows are copied.
"""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localtime

from cinema.people.models import User
from cinema.programme.models import Show
from cinema.staff.site import POLICY
from tests.support.factories import a_booking, a_screen, a_show
from tests.support.staff import PROGRAMME, act, page, sentences, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)
NAMED = re.compile(r"""(?:src|href|action|data-url)=["']([^"']*)|url\(["']?([^"')]+)""")
LISTS = ["user", "authsession", "movie", "screen", "show", "booking", "bookingevent"]


def pages() -> dict[str, str]:
    booking = a_booking()
    rows = {
        "booking": booking,
        "show": booking.show,
        "movie": booking.show.movie,
        "user": booking.user,
    }
    found = {f"{name} list": page(f"{name}_changelist") for name in LISTS}
    found |= {f"{name} page": page(f"{name}_change", row.pk) for name, row in rows.items()}
    found |= {f"{name} history": page(f"{name}_history", row.pk) for name, row in rows.items()}
    found |= {f"{name} add": page(f"{name}_add") for name in ("user", "movie", "screen", "show")}
    found |= {
        "front": reverse("admin:index"),
        "password": reverse("admin:password_change"),
        "seats": page("show_seats", booking.show_id) + f"?booking={booking.pk}&seats=1",
        "delete": page("screen_delete", a_screen().pk),
        "groups": reverse("admin:auth_group_changelist"),
        "lock-outs": reverse("admin:axes_accessattempt_changelist"),
        "what staff did": reverse("admin:admin_logentry_changelist"),
        "password of another": reverse("admin:auth_user_password_change", args=[booking.user_id]),
    }
    return found


def test_no_page_names_anything_outside_and_all_may_load_from_here_alone():
    client = superuser()
    answers = {name: client.get(url) for name, url in pages().items()} | {
        "login": Client().get(reverse("admin:login"))
    }

    for name, response in answers.items():
        assert response.status_code == 200, name
        assert response.headers["Content-Security-Policy"] == POLICY, name
        html = response.content.decode()
        named = {first or second for first, second in NAMED.findall(html)}
        assert {
            address for address in named if "//" in address or address.startswith("data:")
        } == set(), name
        assert not re.search(
            r"<script(?![^>]*\bsrc=)[^>]*>|\son(click|load|change|submit)=", html
        ), name
        files = {
            address.removeprefix("/static/") for address in named if address.startswith("/static/")
        }
        assert len(files) > 5, name
        assert {file for file in files if not finders.find(file)} == set(), name


def test_what_the_styles_load_is_here_too():
    for sheet in ("unfold/css/styles.css", "unfold/fonts/inter/styles.css", "unfold/fonts/material-symbols/styles.css",
                  "staff/staff.css"):  # fmt: skip
        with open(finders.find(sheet)) as css:  # noqa: PTH123
            named = re.findall(r"url\(['\"]?([^'\")]+)|@import ['\"]([^'\"]+)", css.read())
        outside = [
            name for pair in named for name in pair if "//" in name and not name.startswith("data:")
        ]
        assert outside == [], sheet


def test_the_policy_lets_nothing_in_from_elsewhere():
    rules = dict(rule.strip().split(" ", 1) for rule in POLICY.split(";"))

    assert rules["default-src"] == "'self'"
    assert "'unsafe-inline'" not in rules["script-src"]
    assert all("http" not in rule and "*" not in rule for rule in rules.values())


def test_the_menu_has_what_a_person_may_see_and_marks_where_he_is():
    client = staff(PROGRAMME)

    html = client.get(page("movie_changelist")).content.decode()

    menu = html[html.index('id="nav-sidebar-apps"') :]
    assert page("movie_changelist") in menu
    assert page("show_changelist") in menu
    assert page("booking_changelist") not in menu


def test_the_walk_in_account_is_looked_at_and_never_edited():
    walk_in, client = User.objects.walk_in(), superuser()

    html = client.get(page("user_change", walk_in.pk)).content.decode()

    assert 'name="_save"' not in html
    assert client.post(page("user_change", walk_in.pk), {"username": "mine"}).status_code == 403


# Copies of shows


def copy(client, show: Show, first, last, **more):
    return act(
        client,
        "show",
        "copy",
        show,
        confirmed="yes",
        first_day=str(first),
        last_day=str(last),
        **more,
    )


def test_copying_asks_for_the_days_first():
    show = a_show()

    html = act(staff(PROGRAMME), "show", "copy", show).content.decode()

    assert str(show) in html
    assert 'name="first_day"' in html
    assert Show.objects.count() == 1


def test_shows_are_copied_to_each_day_and_what_is_in_the_way_is_told():
    show, client = a_show(timedelta(days=1)), staff(PROGRAMME)
    day = localtime(show.date_time).date()

    response = copy(client, show, day, day + timedelta(days=2))

    told = sentences(response)
    assert told[-1] == "Shows copied: 2."
    assert len(told) == 2
    assert "overlaps" in told[0]
    starts = [localtime(each.date_time) for each in Show.objects.order_by("date_time")]
    assert [start.date() for start in starts] == [day + timedelta(days=ahead) for ahead in range(3)]
    assert len({start.time() for start in starts}) == 1
    assert LogEntry.objects.count() == 2
    assert {row.get_change_message() for row in LogEntry.objects.all()} == {
        "Copied from another day."
    }


@pytest.mark.parametrize(
    ("first", "last"), [("2030-01-02", "2030-01-01"), ("2030-01-01", "2030-12-31"), ("x", "")]
)
def test_odd_days_are_refused_at_the_form(first, last):
    show = a_show()

    response = copy(staff(PROGRAMME), show, first, last)

    assert "desk-warn" in response.content.decode()
    assert Show.objects.count() == 1


def test_who_may_not_add_shows_copies_none():
    show, day = a_show(), localtime().date() + timedelta(days=9)

    copy(staff(["view_show", "change_show"]), show, day, day)

    assert Show.objects.count() == 1
