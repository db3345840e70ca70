"""What the rows say of a sale: which seats are taken, and what became of a booking."""

from cinema.programme.models import Show
from cinema.sales.models import BookingEvent, BookingSeat


def taken(show: Show) -> list[int]:
    live = BookingSeat.objects.live().filter(show=show)
    return sorted(live.values_list("seat_number", flat=True))


def history(booking_id: int) -> list[str]:
    return list(
        BookingEvent.objects.filter(booking=booking_id)
        .order_by("id")
        .values_list("kind", flat=True)
    )
