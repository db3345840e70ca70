"""What a clerk types is found by indexes, among millions too: references whole, names and addresses by their beginning.

PostgreSQL has an index for each of these; a `LIKE '%word%'` over a join would read every booking that there is.
"""

from django.db.models import Q, QuerySet

from cinema.models import Booking, Movie, Show, User

MOST_CUSTOMERS = 500  # of a word that fits more of them, a clerk types more letters


def customers(typed: str) -> QuerySet[User]:
    """Whose username, e-mail, first or last name begins with each of the words."""
    rows = User.objects.all()
    for word in typed.split():
        name = User.normalize_username(word)
        login = Q(username__startswith=name) | Q(email__startswith=name)
        rows = rows.filter(login | Q(first_name__istartswith=word) | Q(last_name__istartswith=word))
    return rows


def customer(typed: str) -> User | None:
    """The one of this username or e-mail."""
    name = User.normalize_username(typed.strip())
    return User.objects.filter(Q(username=name) | Q(email=name)).first() if name else None


def bookings(rows: QuerySet[Booking], typed: str) -> QuerySet[Booking]:
    """Those of `rows` that each word leads to: by their reference, their customer or their film."""
    for word in typed.split():
        rows = rows.filter(_led_to_by(word))
    return rows


def with_reference(typed: str) -> list[int]:
    """The bookings whose references these words are."""
    words = typed.split()
    return list(Booking.objects.filter(reference__in=[*words, *map(str.upper, words)]).values_list("pk", flat=True))


def _led_to_by(word: str) -> Q:
    """Asked beforehand who and what the word means: a join with OR over it would use no index."""
    found = Q(reference__in=[word, word.upper()])
    if users := list(customers(word).values_list("pk", flat=True)[:MOST_CUSTOMERS]):
        found |= Q(user__in=users)
    if movies := list(Movie.objects.filter(title__icontains=word).values_list("pk", flat=True)):
        found |= Q(show__in=Show.objects.filter(movie__in=movies).order_by().values("pk"))
    return found
