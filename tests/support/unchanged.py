"""What is in the database, and that it stays so."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps


def contents() -> dict[str, list]:
    """Every row of every table."""
    models = [model for model in apps.get_models() if model._meta.managed]
    return {model._meta.label: sorted(model.objects.values_list(), key=repr) for model in models}


@contextmanager
def nothing_changes() -> Iterator[None]:
    before = contents()
    yield
    assert contents() == before
