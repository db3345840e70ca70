"""`manage.py up` as people run it: real processes, free ports, a var/ of its own, and nothing of
the machine's.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.services import free_port
from tests.support.suite.patience import PATIENCE_SECONDS, wait_until
from tests.support.up import BASE_DIR, OWN, READY, UP, Up, left_of, processes


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: where `up` finds all in place, it starts in half the time."""
    folder = tmp_path_factory.mktemp("database")
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | {
        "VAR_DIR": str(folder)
    }
    for command in ("migrate", "seed_demo"):
        subprocess.run(
            [sys.executable, "manage.py", command], cwd=BASE_DIR, env=environment, check=True
        )
    return folder / "marquee.sqlite3"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    shutil.copy(database, folder)
    up = Up(folder)
    yield up
    up.popen.kill()  # its guardian sees to the rest
    up.popen.wait()


@pytest.fixture
def up(shared: Up) -> Up:
    """The one that the test before this has left running, or a new one where it has ended it."""
    if shared.popen.poll() is not None:
        shared.begin()
    return shared


def refusal(tmp_path: Path, **settings: str) -> tuple[int, str]:
    up = Up(tmp_path, **settings)
    return up.popen.wait(timeout=PATIENCE_SECONDS), up.log()


def test_a_taken_port_is_one_sentence(tmp_path: Path, taken_port: int) -> None:
    for name in ("PORT", "FLOWER_PORT"):
        sentence = f"marquee: {name} {taken_port} is taken by another program: stop that one, or set another {name}.\n"
        assert refusal(tmp_path, **{name: str(taken_port)}) == (1, sentence)

    sentence = "marquee: PORT and FLOWER_PORT are both 8000: set one of them to another.\n"
    assert refusal(tmp_path, PORT="8000", FLOWER_PORT="8000") == (1, sentence)


def test_a_host_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    code, said = refusal(tmp_path, HOST="192.0.2.1")

    assert code == 1
    assert re.fullmatch(
        r"marquee: PORT \d+ cannot be opened on 192\.0\.2\.1: .+\. Set another PORT or HOST\.\n",
        said,
    )


def test_an_unreachable_database_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    port = free_port()

    code, said = refusal(
        tmp_path,
        DATABASE_URL=f"postgres://clerk:hush-hush@127.0.0.1:{port}/cinema?sslpassword=hush-hush",
    )

    assert code == 1
    assert said.startswith(
        f"marquee: The database postgres://clerk@127.0.0.1:{port}/cinema cannot be reached: "
    )
    assert said.endswith("Connection refused. Start it, or mend DATABASE_URL.\n")
    assert said.count("\n") == 1
    assert "hush-hush" not in said


@pytest.mark.parametrize(("secret", "state"), [("", "not set"), ("short", "too short")])
def test_without_debug_a_secret_is_demanded(tmp_path: Path, secret: str, state: str) -> None:
    sentence = (
        f"marquee: SECRET_KEY is {state}: with DEBUG off it must have 32 characters or more.\n"
    )

    assert refusal(tmp_path, DEBUG="off", SECRET_KEY=secret) == (1, sentence)


def test_up_shows_where_everything_is_and_refuses_a_second(up: Up) -> None:
    up.wait_for(UP)

    table = dict(re.findall(r"^marquee \|   (\w+) +(.+)$", up.log(), re.MULTILINE))
    redis = up.wait_for(r"embedded Redis, until `up` ends: (redis://127\.0\.0\.1:\d+/0)")[1]
    assert table["API"] == f"http://127.0.0.1:{up.port}/api/"
    assert table["Swagger"] == f"http://127.0.0.1:{up.port}/swagger/"
    assert table["ReDoc"] == f"http://127.0.0.1:{up.port}/redoc/"
    assert table["Admin"] == f"http://127.0.0.1:{up.port}/admin/"
    assert re.fullmatch(
        rf"http://127\.0\.0\.1:{up.flower_port}/  admin / \S{{16}}", table["Flower"]
    )
    assert table["Database"] == f"sqlite:///{up.folder}/marquee.sqlite3"
    assert table["Redis"] == redis
    assert table["Mails"] == f"files in {up.folder}/mail"
    assert "Login" in table
    assert up.is_alive()
    assert not any(table["Flower"].split(" / ")[1] in line for _, _, line in processes().values())

    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        cwd=BASE_DIR,
        env=os.environ | up.settings,
        capture_output=True,
        text=True,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"marquee: `up` already runs in this folder, as process {up.popen.pid}: stop it first.\n"
    )
    assert up.is_alive()


def test_a_start_says_little_more_than_its_table(up: Up) -> None:
    """A line a process, no banner, and nothing that frightens a newcomer."""
    up.wait_for(UP)
    up.wait_for(READY)
    before = up.log().partition("Marquee is up")[0].splitlines()

    assert len(before) <= 15, before
    for name in ("redis", "api", "worker", "beat", "flower"):
        assert [line for line in before if re.fullmatch(rf"{name} +\| started", line)]
    assert not re.search(r"(?i)warning|failed|superuser privileges", "\n".join(before))


def test_what_dies_is_started_again_and_said(up: Up) -> None:
    up.wait_for(UP)
    port = up.wait_for(r"redis://127\.0\.0\.1:(\d+)/0")[1]
    commands = ("--quiet worker", "--quiet beat", "--quiet flower", "valkey-server")
    up.wait_for(READY)
    killed = {command: up.leader(command) for command in commands}
    pool = [
        pid for pid, (parent, _, _) in processes().items() if parent == killed["--quiet worker"]
    ]
    assert len(pool) == 2

    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)

    for name in ("worker", "beat", "flower", "redis"):
        up.wait_for(rf"marquee \| {name} was killed by signal 9: started again in 1 s")
    up.wait_for(rf"(?s)worker was killed.*{READY}")
    assert f":{port}" in up.sessions()[up.leader("valkey-server")]
    assert not set(pool) & set(processes())
    assert {up.leader(command) for command in commands}.isdisjoint(killed.values())
    assert up.is_alive()


def test_after_kill_9_a_new_up_works_and_the_old_processes_go(up: Up) -> None:
    up.wait_for(UP)
    old = up.sessions()

    up.popen.kill()
    up.popen.wait()
    up.begin()

    up.wait_for(UP)
    assert up.is_alive()
    wait_until(lambda: not left_of(old), "the end of the old processes")
    assert up.is_alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_leaves_nothing_behind(up: Up, number: signal.Signals) -> None:
    up.wait_for(UP)
    up.wait_for(READY)
    sessions = up.sessions()
    assert len(sessions) == 6  # api, worker, beat, Flower, Redis and the guardian

    assert up.end(number) == 0

    assert left_of(sessions) == []
    assert "Traceback" not in up.log()


@pytest.fixture(scope="module")
def in_production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(
        tmp_path_factory.mktemp("production"),
        DEBUG="off",
        SECRET_KEY="x" * 50,
        HOST="127.0.0.1",
        ALLOWED_HOSTS="localhost,127.0.0.1",
    )
    yield up
    up.popen.kill()
    up.popen.wait()


def test_without_debug_there_is_no_demo_data_and_no_open_flower(in_production: Up) -> None:
    in_production.wait_for(UP)

    assert (
        "Flower is not started: with DEBUG off it needs FLOWER_BASIC_AUTH, such as user:password."
        in in_production.log()
    )
    assert "Login" not in in_production.log()
    assert not any("flower" in line for line in in_production.sessions().values())


def test_the_end_of_the_api_ends_all(in_production: Up) -> None:
    in_production.wait_for(UP)
    sessions = in_production.sessions()

    os.kill(in_production.leader("granian"), signal.SIGKILL)

    assert in_production.popen.wait(timeout=PATIENCE_SECONDS) == 1
    assert in_production.log().splitlines()[-1] == (
        "marquee: api was killed by signal 9, so all the rest is stopped: its last lines above say why."
    )
    assert left_of(sessions) == []
