"""Delete pages: what goes, what protects it, and few questions however much there is."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cinema.people.models import AuthSession, User
from cinema.programme.models import Movie, Screen, Show
from cinema.sales.models import Booking
from cinema.staff import deleting
from tests.support.factories import a_booking, a_caller, a_customer, a_movie, a_screen, a_show
from tests.support.staff import PROGRAMME, act, page, queries, sentences, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 25


def shows(count: int = MANY, **fields) -> list[Show]:
    return [a_show(timedelta(days=2, hours=3 * number), **fields) for number in range(count)]


def text(response) -> str:
    return " ".join(response.content.decode().split())


def test_the_pages_of_a_film_and_of_a_screen_ask_few_questions_for_many_shows():
    movie, screen, client = a_movie(), a_screen(), superuser()
    shows(movie=movie)
    shows(screen=screen)

    asked = [
        queries(client, page("movie_delete", movie.pk)),
        queries(client, page("screen_delete", screen.pk)),
    ]

    assert max(asked) <= 20, asked


def test_many_chosen_shows_are_deleted_with_few_questions():
    chosen, client = shows(), superuser()

    with CaptureQueriesContext(connection) as asking:
        question = text(act(client, "show", "delete_selected", *chosen))
    with CaptureQueriesContext(connection) as deleting_them:
        data = {
            "action": "delete_selected",
            "_selected_action": [show.pk for show in chosen],
            "post": "yes",
        }
        client.post(page("show_changelist"), data)

    assert all(str(show) in question for show in chosen)
    assert (len(asking) <= 20, len(deleting_them) <= 20) == (True, True), (
        len(asking),
        len(deleting_them),
    )
    assert not Show.objects.exists()


@pytest.mark.parametrize("name", ["movie", "show", "screen"])
def test_of_much_that_protects_some_is_told(name):
    show, caller, client = a_show(), a_caller(), superuser()
    for seat in range(1, MANY + 1):
        a_booking(caller, show, (seat,))
    shows(MANY, screen=show.screen)
    row = {"movie": show.movie, "show": show, "screen": show.screen}[name]
    html = text(client.get(page(f"{name}_delete", row.pk)))

    kind = "show" if name == "screen" else "booking"
    assert html.count(f"{kind.capitalize()}: <a") == deleting.SHOWN
    assert f"and more {kind}s" in html
    assert queries(client, page(f"{name}_delete", row.pk)) <= 20
    client.post(page(f"{name}_delete", row.pk), {"post": "yes"})
    assert Booking.objects.count() == MANY


def test_what_goes_with_a_film_is_told_and_goes():
    movie, client = a_movie(), staff(PROGRAMME)
    going = shows(movie=movie)

    html = text(client.get(page("movie_delete", movie.pk)))
    client.post(page("movie_delete", movie.pk), {"post": "yes"})

    assert (html.count("Show: <a"), "and more shows" in html) == (deleting.SHOWN, True)
    assert re.search(rf"[Ss]hows\W+(<[^>]*>\W*)*{MANY}\b", html)
    assert not Movie.objects.filter(pk=movie.pk).exists()
    assert not Show.objects.filter(pk__in=[show.pk for show in going]).exists()


def test_who_may_not_delete_what_goes_with_it_deletes_nothing():
    show, client = a_show(), staff(["view_movie", "delete_movie", "view_show"])

    html = text(client.get(page("movie_delete", show.movie_id)))
    answer = client.post(page("movie_delete", show.movie_id), {"post": "yes"})

    assert "your account doesn't have permission" in html.replace("&#x27;", "'")
    assert answer.status_code == 403
    assert Show.objects.get() == show


def test_a_customer_goes_with_the_logins_and_a_screen_that_is_empty_goes():
    caller, screen, client = a_caller(), a_screen(), superuser()

    for name, pk in (("user", caller.user_id), ("screen", screen.pk)):
        assert client.post(page(f"{name}_delete", pk), {"post": "yes"}).status_code == 302, name

    assert not User.objects.filter(pk=caller.user_id).exists()
    assert not AuthSession.objects.exists()
    assert not Screen.objects.filter(pk=screen.pk).exists()


def test_a_group_of_many_is_deleted():
    group, client = Group.objects.create(name="Ushers"), superuser()
    for _ in range(MANY):
        a_customer().groups.add(group)
    url = reverse("admin:auth_group_delete", args=[group.pk])

    assert queries(client, url) <= 20
    client.post(url, {"post": "yes"})

    assert not Group.objects.filter(pk=group.pk).exists()
    assert User.objects.count() == MANY + 1


def test_nothing_chosen_is_nothing_deleted():
    show, client = a_show(), superuser()
    Show.objects.filter(pk=show.pk).delete()

    response = act(client, "show", "delete_selected", show, post="yes")

    assert (response.status_code, sentences(response)) == (200, [])
