"""`manage.py check`: each unsafe setting has its sentence, and the same setting made safe has none."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core import checks
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.config import services
from tests.support.suite.patience import PATIENCE_SECONDS

# read here, connected to by nobody
pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

BASE_DIR = Path(__file__).resolve().parents[2]
KEY, OTHER_KEY = "kW3uB7xPq9Zr2TnV5cYd8LmJ4hGf6SaE1oQi", "tR8vN2yKx5Wc9BqM3zHd7LpJ4gFs6UaT1eOi"
POSTGRES = "postgres://marquee:pw@127.0.0.1/marquee"


@pytest.fixture(autouse=True)
def safe(settings, tmp_path):
    """Settings of production with nothing to complain of, of which each test makes one unsafe."""
    settings.DEBUG, settings.HOST, settings.VAR = False, "127.0.0.1", tmp_path
    settings.SECRET_KEY, settings.JWT_SIGNING_KEYS = KEY, [OTHER_KEY]
    settings.SECURE_SSL_REDIRECT, settings.NUM_PROXIES = True, 1
    settings.REDIS_URL, settings.CACHES = (
        "redis://127.0.0.1:6379/0",
        caches("redis://127.0.0.1:6379/0"),
    )
    settings.DATABASES = {"default": services.database(POSTGRES)}
    settings.THROTTLES = {"login": (10, 60), "signup": None, "booking": None}
    settings.AXES_ENABLED, settings.AXES_COOLOFF_TIME = True, timedelta(minutes=15)
    settings.PASSWORD_HASHERS = ["project.config.hashers.Argon2"]
    settings.METRICS_NETWORKS, settings.ALLOWED_HOSTS = (
        [ip_network("10.0.0.0/8")],
        ["tickets.example.com"],
    )
    settings.FLOWER_BASIC_AUTH = "ops:kW3uB7xP"
    for name, value in services.email("smtps://user:pw@mail.example.com").items():
        setattr(settings, name, value)


def caches(
    url: str, serializer: str = "django_redis.serializers.json.JSONSerializer", **pool
) -> dict:
    pool = {
        "socket_timeout": 0.25,
        "socket_connect_timeout": 0.25,
        "retry": Retry(NoBackoff(), 0),
    } | pool
    options = {"SERIALIZER": serializer, "CONNECTION_POOL_KWARGS": pool}
    return {
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": options}
    }


def found() -> list[str]:
    """The ids, after a look at the sentences: they end, and they say no secret."""
    messages = checks.run_checks(tags=["marquee"])
    for message in messages:
        assert re.fullmatch(r"[A-Z].*\.", message.msg)
        assert message.hint
        assert not re.search(rf"{KEY}|{OTHER_KEY}|hush", message.msg + message.hint)
        assert isinstance(message, checks.Error if ".E" in message.id else checks.Warning)
    return [message.id.removeprefix("marquee.") for message in messages]


def use_database(settings, url: str, **changes) -> None:
    database = services.database(url)
    options = database["OPTIONS"] | changes.pop("OPTIONS", {})
    settings.DATABASES = {"default": database | {"OPTIONS": options} | changes}


def test_safe_settings_have_none():
    assert found() == []


@pytest.mark.parametrize(
    "key",
    ["x" * 50, "short", "", "password" * 8, "django-insecure-" + KEY, "ChangeMe-" + KEY, "change-me-" + KEY,
     "default-" + KEY, "your-secret-key-" + KEY, "example" + KEY],
)  # fmt: skip
@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEYS"])
def test_a_short_or_default_secret(settings, name, key):
    setattr(settings, name, key or "-" if name == "SECRET_KEY" else [OTHER_KEY, key])
    assert found() == ["E001"]

    settings.DEBUG = True
    assert found() == []


@pytest.mark.parametrize(
    "key", ["0123456789" * 4, "f4a0c1d2e3b59687" * 2, KEY * 2, "0f" * 3 + "92ab4c7d81e653ba" * 4]
)
def test_digits_and_hexadecimals_are_keys(settings, key):
    settings.SECRET_KEY = key

    assert found() == []


@pytest.mark.parametrize(
    ("name", "file"), [("SECRET_KEY", "secret_key"), ("JWT_SIGNING_KEYS", "jwt_signing_key")]
)
def test_a_secret_that_was_made_for_development(settings, tmp_path, name, file):
    key = KEY if name == "SECRET_KEY" else OTHER_KEY
    (tmp_path / file).write_text(f"{key}\n")
    assert found() == ["E001"]

    (tmp_path / file).write_text("another")
    assert found() == []


def test_one_secret_for_two_purposes(settings):
    settings.JWT_SIGNING_KEYS = [OTHER_KEY, KEY]
    assert found() == ["E002"]

    settings.JWT_SIGNING_KEYS = [OTHER_KEY, KEY + "2"]
    assert found() == []


@pytest.mark.parametrize("debug", [True, False])
def test_https_without_a_proxy_to_believe(settings, debug):
    settings.DEBUG, settings.NUM_PROXIES = debug, 0
    assert found() == ["E003"]

    settings.SECURE_SSL_REDIRECT = False
    assert found() == []


@pytest.mark.parametrize(
    ("url", "pool"),
    [
        ("", {"socket_timeout": None}), ("", {"socket_connect_timeout": None}), ("", {"socket_timeout": 0}),
        ("", {"retry": None}), ("", {"retry": Retry(NoBackoff(), 5)}), ("", {"socket_timeout": 30}),
        ("?socket_timeout=30", {}), ("?socket_connect_timeout=5", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("debug", [True, False])
def test_a_redis_that_is_waited_for(settings, debug, url, pool):
    settings.DEBUG, settings.CACHES = debug, caches(settings.REDIS_URL + url, **pool)

    assert found() == ["E004"]


def test_a_redis_that_is_waited_for_a_moment(settings):
    settings.CACHES = caches(
        settings.REDIS_URL + "?socket_timeout=0.5", retry=Retry(NoBackoff(), 1)
    )

    assert found() == []


def test_a_cache_that_unpickles(settings):
    settings.CACHES = caches(settings.REDIS_URL, "django_redis.serializers.pickle.PickleSerializer")

    assert found() == ["E005"]


def test_sqlite_without_immediate(settings):
    settings.DEBUG = True
    use_database(settings, "sqlite:///x.sqlite3", OPTIONS={"transaction_mode": "DEFERRED"})
    assert found() == ["E006"]

    use_database(settings, "sqlite:///x.sqlite3")
    assert found() == []


@pytest.mark.parametrize(
    "name", ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
)
def test_a_postgresql_without_time_outs(settings, name):
    options = services.database(POSTGRES)["OPTIONS"]["options"]
    use_database(settings, POSTGRES, OPTIONS={"options": re.sub(rf"-c {name}=\w+", "", options)})

    assert found() == ["E007"]


@pytest.mark.parametrize("odd", [{"init_command": ""}, {"isolation_level": "repeatable read"}])
def test_a_mariadb_in_its_own_time_zone_or_isolation(settings, odd):
    use_database(settings, "mysql://root@127.0.0.1/marquee", OPTIONS=odd)
    assert found() == ["E008"]

    use_database(settings, "mysql://root@127.0.0.1/marquee")
    assert found() == []


def test_a_transaction_around_every_request(settings):
    use_database(settings, POSTGRES, ATOMIC_REQUESTS=True)

    assert found() == ["E009"]


@pytest.mark.parametrize(
    "backend", ["cinema.notifications.eml_files", "django.core.mail.backends.console", "x.dummy"]
)
def test_mails_that_are_not_sent(settings, backend):
    settings.EMAIL_BACKEND = f"{backend}.EmailBackend"
    assert found() == ["E010"]

    settings.DEBUG = True
    assert found() == []


def test_passwords_that_can_be_guessed_without_end(settings):
    settings.THROTTLES, settings.AXES_ENABLED = settings.THROTTLES | {"login": None}, False
    assert found() == ["E011"]

    settings.AXES_ENABLED = True
    assert found() == []
    settings.AXES_ENABLED, settings.THROTTLES = False, settings.THROTTLES | {"login": (10, 60)}
    assert found() == []


def test_passwords_in_a_fast_hash(settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        "project.config.hashers.Argon2",
    ]

    assert found() == ["E012"]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_metrics_for_everybody(settings, network):
    settings.METRICS_NETWORKS = [ip_network(network)]

    assert found() == ["E013"]


def test_any_host_name(settings):
    settings.ALLOWED_HOSTS = ["tickets.example.com", "*"]
    assert found() == ["E014"]

    settings.ALLOWED_HOSTS = [".example.com"]
    assert found() == []


def test_no_redis_is_a_warning(settings):
    settings.REDIS_URL = ""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert found() == ["W001"]

    settings.DEBUG = True
    assert found() == []


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("redis://10.0.0.7:6379/0", ["W002"]), ("redis://redis.example.com/0", ["W002"]), ("redis://redis:6379/0", []),
        ("redis://:hush@10.0.0.7/0", []), ("redis://[::1]:6379/0", []), ("redis://localhost/0", []),
    ],
)  # fmt: skip
def test_a_redis_that_is_open_to_a_network_is_a_warning(settings, url, ids):
    settings.REDIS_URL, settings.CACHES = url, caches(url)

    assert found() == ids


def test_sqlite_in_production_is_a_warning(settings):
    use_database(settings, "sqlite:///x.sqlite3")

    assert found() == ["W003"]


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("smtp://user:hush@mail.example.com", ["W004"]), ("smtp://user:hush@mail.example.com?tls=on", []),
        ("smtp://user:hush@127.0.0.1", []), ("smtp://mailpit:1025", []), ("smtp://mail.example.com", []),
    ],
)  # fmt: skip
def test_a_mail_password_in_the_clear_is_a_warning(settings, url, ids):
    for name, value in services.email(url).items():
        setattr(settings, name, value)

    assert found() == ids


def test_development_that_the_network_can_reach_is_a_warning(settings):
    settings.DEBUG, settings.HOST = True, "0.0.0.0"
    assert found() == ["W005"]

    settings.HOST = "127.0.0.1"
    assert found() == []


def test_flowers_example_password_is_a_warning(settings):
    settings.FLOWER_BASIC_AUTH = "user:password"

    assert found() == ["W006"]


def test_every_rule_has_its_test():
    ids = re.findall(
        r"(error|warning)\(\s*(\d+),", (BASE_DIR / "project" / "config" / "checks.py").read_text()
    )
    tested = re.findall(r'\["([EW])(\d+)"\]', Path(__file__).read_text())

    assert {(kind[0].upper(), int(number)) for kind, number in ids} == {
        (kind, int(number)) for kind, number in tested
    }


@pytest.mark.parametrize(
    "odd", ["/zero", "/0?socket_timeout=soon", "/0?nonsense=1", "/0?ssl_cert_reqs=none"]
)
def test_an_odd_option_of_redis_stops_the_start(tmp_path, odd):
    """It would be a defect of every call that asks for a lock."""
    code, said = check(tmp_path, REDIS_URL=f"redis://:hush@127.0.0.1{odd}")

    assert code == 1
    assert "REDIS_URL must look like redis://host:6379/0" in said
    assert "hush" not in said


def check(tmp_path, command: str = "check", **environment) -> tuple[int, str]:
    """As people run it, with nothing set but this."""
    environment = {"VAR_DIR": str(tmp_path), "PATH": os.environ["PATH"]} | environment
    command_line = [sys.executable, "manage.py", command]
    done = subprocess.run(
        command_line,
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_clone_has_nothing_to_complain_of(tmp_path):
    code, said = check(tmp_path)

    assert code == 0
    assert "identified no issues" in said


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_unsafe_settings_stop_what_checks_first(tmp_path, command):
    code, said = check(tmp_path, command, DEBUG="off", SECRET_KEY="x" * 40, HTTPS="on")

    assert code == 1
    assert re.findall(r"marquee\.[EW]\d+", said) == [
        "marquee.E001", "marquee.E003", "marquee.E010", "marquee.W001", "marquee.W003"
    ]  # fmt: skip
    assert "x" * 8 not in said
    assert "Traceback" not in said
