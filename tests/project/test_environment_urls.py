"""DATABASE_URL and EMAIL_URL: what each engine and each mail server is given."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.config import environment as env
from project.config import services


def sentence(act, *args, **kwargs) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        act(*args, **kwargs)
    told = str(refused.value)
    assert told.endswith(".")
    assert "\n" not in told
    return told


def test_sqlite_writes_one_at_a_time():
    made = services.database("sqlite:////tmp/x.sqlite3")

    assert made["ENGINE"] == "django.db.backends.sqlite3"
    assert made["NAME"] == "/tmp/x.sqlite3"
    assert (made["OPTIONS"]["transaction_mode"], made["OPTIONS"]["timeout"]) == ("IMMEDIATE", 3)
    assert "journal_mode=WAL" in made["OPTIONS"]["init_command"]


def test_postgresql_lets_no_frozen_client_keep_a_lock():
    made = services.database("postgres://clerk:p%40ss@db.example:6543/marquee")

    assert [made[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "clerk",
        "p@ss",
        "db.example",
        6543,
        "marquee",
    ]
    assert (made["OPTIONS"]["server_side_binding"], made["OPTIONS"]["prepare_threshold"]) == (
        True,
        1,
    )
    limits = ("lock_timeout=1s", "statement_timeout=", "idle_in_transaction_session_timeout=")
    for option in (*limits, "random_page_cost="):
        assert option in made["OPTIONS"]["options"]
    assert made["CONN_MAX_AGE"] > 0


def test_mariadb_reads_committed_in_utc():
    made = services.database("mysql://root@127.0.0.1:3306/marquee")

    assert made["ENGINE"] == "django.db.backends.mysql"
    assert (made["OPTIONS"]["charset"], made["OPTIONS"]["isolation_level"]) == (
        "utf8mb4",
        "read committed",
    )
    assert "time_zone='+00:00'" in made["OPTIONS"]["init_command"]
    assert "innodb_lock_wait_timeout=1" in made["OPTIONS"]["init_command"]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "ftp://host/name",
        "oracle://u:p@host/name",
        "postgres://host:port/name",
        "://",
        "postgres://[::1/name",
    ],
)
def test_an_odd_database_url_is_refused(url):
    assert sentence(services.database, url).startswith("DATABASE_URL ")


def test_an_smtp_url_is_taken_apart():
    made = services.email("smtps://clerk%40x:p%2Fw@mail.example")

    assert made["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert (made["EMAIL_HOST"], made["EMAIL_PORT"]) == ("mail.example", 465)
    assert (made["EMAIL_HOST_USER"], made["EMAIL_HOST_PASSWORD"]) == ("clerk@x", "p/w")
    assert (made["EMAIL_USE_SSL"], services.email("smtp://mail.example")["EMAIL_PORT"]) == (
        True,
        25,
    )
    assert services.email("smtp://mail.example:2525")["EMAIL_USE_SSL"] is False
    assert "smtp" not in services.email("")["EMAIL_BACKEND"]


@pytest.mark.parametrize(
    "url", ["nonsense", "http://mail.example", "smtp://", "smtp://mail.example:port", "smtp://[::1"]
)
def test_an_odd_email_url_is_refused(url):
    assert sentence(services.email, url).startswith("EMAIL_URL ")


@pytest.mark.parametrize(
    "url",
    ["localhost:6379", "redis://", "http://localhost:6379", "redis://host:port", "redis://[::1"],
)
def test_an_odd_redis_url_is_refused(monkeypatch, url):
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(ImproperlyConfigured, match="redis://host:6379/0"):
        env.redis("REDIS_URL")


@pytest.mark.parametrize(
    "value", ["example.com", "https://", "https://a.example/path", "https://a.example,b.example"]
)
def test_an_odd_origin_is_refused(monkeypatch, value):
    monkeypatch.setenv("CORS_ORIGINS", value)

    with pytest.raises(ImproperlyConfigured, match="an origin looks like"):
        env.origins("CORS_ORIGINS")


@pytest.mark.parametrize(("read", "value"), [(env.time_zone, "Mars/X"), (env.log_level, "verbose")])
def test_an_unknown_zone_or_level_is_refused(monkeypatch, read, value):
    monkeypatch.setenv("ODD", value)

    with pytest.raises(ImproperlyConfigured, match="ODD is"):
        read("ODD", "UTC")
