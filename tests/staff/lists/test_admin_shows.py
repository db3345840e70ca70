"""The list of shows: tonight's, in an order that counts no seats, and one of them is cancelled."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils.timezone import localtime

from cinema.errors import ShowStarted
from cinema.programme import days
from cinema.programme.models import Show
from tests.support.factories import a_booking, a_show, move_start
from tests.support.staff import BOX_OFFICE, PROGRAMME, act, page, rows, sentences, staff, superuser

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("clock", "nights_ago"), [("01:30", 1), ("03:59", 1), ("04:00", 0), ("20:00", 0)]
)
def test_a_night_goes_on_until_four(monkeypatch, clock, nights_ago):
    moment = datetime.combine(localtime().date(), time.fromisoformat(clock), UTC)
    monkeypatch.setattr(days, "localtime", lambda: moment)
    starts = datetime.combine(moment.date(), time(4), UTC) - nights_ago * DAY
    _, first, evening, last, _ = (
        a_show(date_time=starts + after)
        for after in (-timedelta(minutes=1), 0 * HOUR, 18 * HOUR, DAY - timedelta(minutes=1), DAY)
    )

    assert rows(staff(PROGRAMME).get(page("show_changelist"), {"day": "tonight"})) == [
        first,
        evening,
        last,
    ]


def test_the_list_of_shows_is_sorted_by_no_count_of_seats():
    later, sooner = a_show(2 * DAY), a_show(DAY)
    a_booking(show=later, seats=(1, 2))
    client = staff(PROGRAMME)
    columns = list(client.get(page("show_changelist")).context["cl"].list_display)

    def found(column: str, sign: str) -> list[Show]:
        return rows(client.get(page("show_changelist"), {"o": f"{sign}{columns.index(column)}"}))

    for column in ("sold", "held", "free"):
        assert found(column, "") == found(column, "-") == [sooner, later], column
    assert found("starts", "-") == [later, sooner]


def test_a_show_is_cancelled_from_the_list_by_the_question_of_its_seat_map():
    shows, client = [a_show(), a_show()], superuser()

    several = act(client, "show", "cancel_show", *shows)
    question = act(client, "show", "cancel_show", shows[0])

    assert sentences(several) == ["Choose one show: each is asked about by itself."]
    assert question.context["title"] == "Cancel the whole show?"
    assert f'action="{page("show_seats", shows[0].pk)}"' in question.content.decode()
    assert not Show.objects.filter(cancelled_at__isnull=False).exists()
    client.post(question.context["to"], question.context["fields"] | {"confirmed": "yes"})
    assert list(Show.objects.filter(cancelled_at__isnull=False)) == [shows[0]]
    assert (
        sentences(act(client, "show", "cancel_show", shows[0]))[-1]
        == "The show was cancelled before."
    )


def test_who_may_not_change_shows_cancels_none_from_the_list():
    show, client = a_show(), staff(BOX_OFFICE)

    act(client, "show", "cancel_show", show, confirmed="yes")

    assert Show.objects.get().cancelled_at is None
    move_start(show, -HOUR)
    assert sentences(act(superuser(), "show", "cancel_show", show, confirmed="yes")) == [
        ShowStarted.detail
    ]
