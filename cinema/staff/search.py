"""Find by indexes what a clerk types, among millions too.

References are found whole, names and addresses by their beginning.

PostgreSQL has an index for each of these; a `LIKE '%word%'` over a join would read every booking
that there is.
"""

from functools import reduce
from operator import and_, or_

from django.db.models import Q, QuerySet

from cinema.errors import Invalid
from cinema.people.models import User
from cinema.programme.models import Movie, Show
from cinema.sales.models import Booking

MOST_CUSTOMERS = 500  # the newest: of a word that fits more of them, a clerk types more letters
# those behind them are left out, as each is asked about: somebody may paste a whole mail
MOST_WORDS = 5


def customers(typed: str, *, sees: bool = True) -> QuerySet[User]:
    """Return customers whose username begins with each of the words.

    For who may see customers (`sees`), also their e-mail, first or last name.
    """
    rows = User.objects.all()
    for word in typed.split()[:MOST_WORDS]:
        name = User.normalize_username(word)
        found = Q(username__startswith=name)
        if sees:
            found |= (
                Q(email__startswith=name)
                | Q(first_name__istartswith=word)
                | Q(last_name__istartswith=word)
            )
        rows = rows.filter(found)
    return rows


def customer(typed: str) -> User | None:
    """Return the customer of this username or e-mail.

    Raises Invalid if these are two: a username may be another's e-mail.
    """
    name = User.normalize_username(typed.strip())
    found = list(User.objects.filter(Q(username=name) | Q(email=name))) if name else []
    if len(found) > 1:
        called, mailed = sorted((user.email == name, user.username) for user in found)
        raise Invalid(
            f"Two accounts fit {name}: it is the username of {called[1]} and the e-mail of {mailed[1]}. "
            f"Write {mailed[1]}, or the e-mail of {called[1]}."
        )
    return found[0] if found else None


def bookings(typed: str, *, sees: bool) -> Q:
    """Those that each word leads to: by their reference, their customer or their film.

    Who may not see customers (`sees`) finds them by their usernames alone, or learned by trying who
    has which e-mail.
    """
    words = typed.split()[:MOST_WORDS]
    if not words:
        return Q()
    found = reduce(
        and_,
        [_led_to_by(word, films, sees) for word, films in zip(words, _films(words), strict=True)],
    )
    # of each word of a common name alone, the one who is meant may be too old an account
    if len(words) > 1:
        found |= Q(user__in=_newest(typed, sees))
    return found


def with_reference(typed: str) -> list[int]:
    """The bookings whose references these words are."""
    words = typed.split()
    return list(
        Booking.objects.filter(reference__in=[*words, *map(str.upper, words)]).values_list(
            "pk", flat=True
        )
    )


def _newest(typed: str, sees: bool) -> list[int]:
    return list(
        customers(typed, sees=sees).order_by("-pk").values_list("pk", flat=True)[:MOST_CUSTOMERS]
    )


def _films(words: list[str]) -> list[list[int]]:
    """Return, for each word, the films that it is part of, in one query for all."""
    named = {f"word{number}": Q(title__icontains=word) for number, word in enumerate(words)}
    rows = Movie.objects.filter(reduce(or_, named.values())).annotate(**named).order_by()
    found = list(rows.values_list("pk", *named))
    return [[pk for pk, *named_by in found if named_by[number]] for number in range(len(words))]


def _led_to_by(word: str, films: list[int], sees: bool) -> Q:
    """Asked beforehand who and what the word means: a join with OR over it would use no index."""
    found = Q(reference__in=[word, word.upper()])
    if users := _newest(word, sees):
        found |= Q(user__in=users)
    if films:
        found |= Q(show__in=Show.objects.filter(movie__in=films).order_by().values("pk"))
    return found
