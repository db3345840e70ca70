"""Staff at their browser: logged in with these permissions, and what the pages of the admin tell
them.
"""

import re

from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import localtime

from cinema.people.models import User
from cinema.programme.models import Show
from cinema.sales.models import Booking
from tests.support.factories import a_customer

SEEN = ["movie", "screen", "show", "booking", "bookingevent", "user"]
BOX_OFFICE = [f"view_{model}" for model in SEEN] + ["change_booking"]
PROGRAMME = [
    f"{action}_{model}" for action in ("add", "change", "delete", "view") for model in SEEN[:3]
]


def staff(permissions: list[str]) -> Client:
    user = a_customer(is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="cinema", codename__in=permissions)
    )
    return logged_in(user)


def superuser() -> Client:
    return logged_in(a_customer(is_staff=True, is_superuser=True))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.user = user
    return client


def page(name: str, *args) -> str:
    """`booking_changelist` and the like."""
    return reverse(f"admin:cinema_{name}", args=args)


def rows(response) -> list:
    return list(response.context["cl"].result_list)


def sentences(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {
        field: list(found) for field, found in response.context["adminform"].form.errors.items()
    }


def act(client: Client, name: str, action: str, *chosen, **more):
    data = {"action": action, "_selected_action": [row.pk for row in chosen]} | more
    return client.post(page(f"{name}_changelist"), data, follow=True)


def cancel(client: Client, *chosen: Booking):
    return act(client, "booking", "cancel", *chosen, confirmed="yes")


def show_form(show: Show, **changes) -> dict:
    """What the browser sends to save this show."""
    starts = localtime(changes.pop("date_time", show.date_time))
    values = {
        "movie": show.movie_id,
        "screen": show.screen_id,
        "total_seats": show.total_seats,
    } | changes
    return values | {"date_time_0": f"{starts:%Y-%m-%d}", "date_time_1": f"{starts:%H:%M:%S}"}


def cells(response, name: str) -> list[str]:
    """What a list or an inline shows in this column, from the top."""
    found = re.findall(
        rf'<t[dh] class="[^"]*\bfield-{name}\b[^"]*".*?>(.*?)</t[dh]>',
        response.content.decode(),
        re.DOTALL,
    )
    return [" ".join(re.sub("<[^>]*>", " ", cell).split(" ")).strip() for cell in found]


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)
