"""Mails as files: one file for each mail, whole, and named by its Message-ID."""

import multiprocessing
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from cinema.notifications.eml_files import file_name
from tests.support.suite.patience import PATIENCE_SECONDS

BACKEND = "cinema.notifications.eml_files.EmailBackend"


def a_mail(
    message_id: str = "<event-1-ABC@localhost>", body: str = "Hello", to=("a@example.com",)
) -> EmailMessage:
    return EmailMessage(
        "A subject", body, "from@example.com", to, headers={"Message-ID": message_id}
    )


@pytest.fixture
def folder(settings, tmp_path):
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = BACKEND, tmp_path / "var" / "mail"
    return settings.EMAIL_FILE_PATH


def test_a_mail_becomes_a_file_named_by_its_message_id(folder):
    assert a_mail().send() == 1

    (file,) = folder.iterdir()
    read = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert file.name == "event-1-ABC@localhost.eml"
    assert (read["To"], read["Subject"], read.get_content().strip()) == (
        "a@example.com",
        "A subject",
        "Hello",
    )


def test_two_mails_are_two_files(folder):
    sent = get_connection().send_messages([a_mail("<1@localhost>"), a_mail("<2@localhost>")])

    assert sent == 2
    assert sorted(file.name for file in folder.iterdir()) == ["1@localhost.eml", "2@localhost.eml"]


def test_a_second_copy_takes_the_place_of_the_first(folder):
    a_mail(body="first").send()
    a_mail(body="second").send()

    (file,) = folder.iterdir()
    assert b"second" in file.read_bytes()
    assert b"first" not in file.read_bytes()


def test_a_mail_to_nobody_is_no_file(folder):
    assert a_mail(to=()).send() == 0

    assert not folder.exists()


def test_a_mail_is_for_its_owners_eyes(folder):
    a_mail().send()

    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "message_id",
    [
        "<../../etc/passwd@x>",
        "<.hidden@x>",
        "<>",
        "<a/b@x>",
        "<a b@x>",
        "<ü@x>",
        f"<{'a' * 400}@x>",
        "<..>",
    ],
)
def test_an_odd_message_id_stays_in_the_folder(folder, message_id):
    name = file_name(message_id)

    assert len(name) < 255
    assert name.isascii()
    assert not set(name) & set("/\\ \0")
    assert not name.startswith(".")


def test_ids_that_look_alike_are_two_files():
    assert len({file_name(f"<a{sign}b@x>") for sign in "/\\: _"}) == 5


def test_a_folder_that_cannot_be_written_is_an_os_error(settings, tmp_path):
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = BACKEND, tmp_path / "file" / "mail"
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OSError, match="file"):
        a_mail().send()

    assert a_mail().send(fail_silently=True) == 0


def test_a_failed_write_leaves_no_draft(folder):
    (folder / "event-1-ABC@localhost.eml" / "in-the-way").mkdir(parents=True)

    with pytest.raises(OSError, match="event-1"):
        a_mail().send()

    assert [path.name for path in folder.iterdir()] == ["event-1-ABC@localhost.eml"]


def send_some(number: int, folder: Path) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = BACKEND, folder
    for copy in range(20):
        a_mail(f"<{number}-{copy}@localhost>", body=f"only {number}-{copy}. " * 500).send()


def test_forked_workers_never_share_a_file(folder):
    # From a process without threads, as a worker's: a fork beside threads may hang.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    workers = [server.Process(target=send_some, args=(number, folder)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE_SECONDS)

    files = list(folder.iterdir())
    assert len(files) == 80
    for file in files:
        read = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert read.get_content().strip() == (f"only {file.name.partition('@')[0]}. " * 500).strip()
