"""The environment: what it defaults to, and the sentence that each odd value stops the start with."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.config import environment as env
from tests.support.suite.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
LONG = "x" * 32


def sentence(act, *args, **kwargs) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        act(*args, **kwargs)
    told = str(refused.value)
    assert told.endswith(".")
    assert "\n" not in told
    return told


@pytest.fixture
def given(monkeypatch):
    """Sets NAME, the variable of these tests."""
    monkeypatch.delenv("NAME", raising=False)
    return lambda value: monkeypatch.setenv("NAME", value)


def test_text_is_trimmed_and_empty_is_the_default(given):
    assert env.text("NAME", "default") == "default"
    for value, read in (("", "default"), ("  ", "default"), (" x ", "x")):
        given(value)
        assert env.text("NAME", "default") == read


def test_a_flag_is_on_or_off(given):
    assert (env.flag("NAME", True), env.flag("NAME", False)) == (True, False)
    for value, read in (
        ("1", True),
        ("TRUE", True),
        ("Yes", True),
        ("on", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("OFF", False),
    ):
        given(value)
        assert env.flag("NAME", not read) is read, value


@pytest.mark.parametrize("value", ["2", "maybe", "y", "-1", "true false", "١"])
def test_an_odd_flag_is_refused(given, value):
    given(value)

    assert sentence(env.flag, "NAME", True) == f"NAME is {value!r}: it must be on or off."


def test_a_number_is_whole_and_within_its_bounds(given):
    assert env.number("NAME", 600, 1, 86400) == 600
    for value, read in (("1", 1), ("86400", 86400), (" 7 ", 7), ("007", 7)):
        given(value)
        assert env.number("NAME", 600, 1, 86400) == read


@pytest.mark.parametrize(
    "value", ["0", "86401", "-1", "1.5", "1e3", "ten", "٣", "²", "+5", "1_000", "9" * 50, "0x10"]
)
def test_an_odd_number_is_refused(given, value):
    given(value)

    assert (
        sentence(env.number, "NAME", 600, 1, 86400)
        == f"NAME is {value!r}: it must be a whole number from 1 to 86400."
    )


def test_a_number_of_thousands_of_digits_is_refused_like_any_other(given):
    given("9" * 5000)

    assert sentence(env.number, "NAME", 600, 1, 86400).endswith(
        "it must be a whole number from 1 to 86400."
    )


def test_words_are_split_at_commas(given):
    assert env.words("NAME", "a,b") == ["a", "b"]
    given(" a.example , ,b.example,")
    assert env.words("NAME") == ["a.example", "b.example"]


def test_a_rate_is_calls_and_seconds(given):
    assert env.rate("NAME", "10/min") == (10, 60)
    for value, read in (
        ("1/sec", (1, 1)),
        ("20/hour", (20, 3600)),
        ("5/day", (5, 86400)),
        ("", None),
        ("  ", None),
    ):
        given(value)
        assert env.rate("NAME", "10/min") == read


@pytest.mark.parametrize(
    "value",
    ["10", "0/min", "-1/min", "10/week", "10 / min", "/min", "1.5/min", "10/min/min", "ten/min"],
)
def test_an_odd_rate_is_refused(given, value):
    given(value)

    assert sentence(env.rate, "NAME", "10/min").startswith(
        f"NAME is {value!r}: it must look like 10/min"
    )


def test_networks(given):
    assert env.networks("NAME") == []
    given("10.0.0.0/8, 2001:db8::/32, 192.0.2.7")
    assert env.networks("NAME") == [
        ip_network("10.0.0.0/8"),
        ip_network("2001:db8::/32"),
        ip_network("192.0.2.7/32"),
    ]


@pytest.mark.parametrize("value", ["10.0.0.1/8", "nonsense", "10.0.0.0/33", "300.0.0.0/8"])
def test_an_odd_network_is_refused(given, value):
    given(value)

    assert sentence(env.networks, "NAME").startswith("NAME: ")


def test_a_secret_is_made_once_and_for_its_owner_alone(given, tmp_path):
    place = tmp_path / "var" / "secret"

    first, second = env.secret("NAME", place), env.secret("NAME", place)

    assert first == second == place.read_text()
    assert len(first) >= 32
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.parent.iterdir()] == ["secret"]
    given("y" * 40)
    assert env.secret("NAME", place) == "y" * 40


@pytest.mark.usefixtures("given")
def test_of_many_that_make_a_secret_at_once_all_read_the_same(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: env.secret("NAME", tmp_path / "secret"), range(64)))

    assert len(set(made)) == 1


def test_without_debug_a_missing_or_short_secret_is_refused(given):
    assert "NAME is not set" in sentence(env.secret, "NAME", None)
    given("x" * 31)
    told = sentence(env.secret, "NAME", None)
    assert "NAME is too short" in told
    assert "xxx" not in told
    given(LONG)
    assert env.secret("NAME", None) == LONG


def test_signing_keys_are_those_given_in_their_order(given):
    given(f"{LONG}, {'y' * 32}")

    assert env.signing_keys("NAME", "s" * 50, None) == [LONG, "y" * 32]


@pytest.mark.usefixtures("given")
def test_without_signing_keys_one_is_derived_or_made(tmp_path):
    derived = env.signing_keys("NAME", "s" * 50, None)

    assert len(derived) == 1
    assert len(derived[0]) == 64
    assert derived == env.signing_keys("NAME", "s" * 50, None)
    assert derived != env.signing_keys("NAME", "t" * 50, None)
    assert "s" * 10 not in derived[0]
    made = env.signing_keys("NAME", "s" * 50, tmp_path / "key")
    assert made == [(tmp_path / "key").read_text()] != derived


@pytest.mark.parametrize("debug", [False, True])
def test_one_short_signing_key_is_refused(given, tmp_path, debug):
    given(f"{LONG},short")

    told = sentence(env.signing_keys, "NAME", "s" * 50, tmp_path / "key" if debug else None)
    assert told.startswith("NAME has a key that is too short")


def start(tmp_path, **environment) -> subprocess.CompletedProcess:
    """Django's settings in a process of their own, with no other environment."""
    command = [
        sys.executable,
        "-c",
        "from project import settings as s; print(s.DEBUG, s.HOST, s.PORT, s.HOLD_SECONDS, s.TIME_ZONE)",
    ]
    environment = {"VAR_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=PATIENCE_SECONDS
    )


def test_a_clone_starts_with_nothing_set(tmp_path):
    assert start(tmp_path).stdout == "True 127.0.0.1 8000 600 UTC\n"


def test_with_debug_off_it_starts_only_with_a_secret(tmp_path):
    refused = start(tmp_path, DEBUG="off")

    assert refused.returncode != 0
    assert "SECRET_KEY is not set" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    assert start(tmp_path, DEBUG="off", SECRET_KEY=LONG).stdout == "False 0.0.0.0 8000 600 UTC\n"
