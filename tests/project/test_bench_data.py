import pytest
from django.core.management import CommandError, call_command

from cinema.people.models import User
from cinema.programme.models import Show

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_benchmarks_customers_can_buy_in_a_migrated_database(anonymous, tmp_path):
    User.objects.walk_in()  # which a migration makes

    call_command("bench_data", tmp_path / "tokens")

    signed = (tmp_path / "tokens").read_text().splitlines()
    assert (len(set(signed)), Show.objects.count()) == (50, 200)
    show = Show.objects.first()
    for seat, token in ((1, signed[0]), (2, signed[-1])):
        response = anonymous.post(
            f"/api/shows/{show.pk}/book/", {"seat_number": seat}, Authorization=f"Bearer {token}"
        )
        assert response.status_code == 201


def test_a_database_in_use_is_left_alone(tmp_path):
    call_command("bench_data", tmp_path / "tokens")

    with pytest.raises(CommandError, match="not empty"):
        call_command("bench_data", tmp_path / "others")
    assert not (tmp_path / "others").exists()
