"""Settings: from the environment alone, with defaults that run.

docs/settings.md lists them. A clone starts with none set.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from project.config import environment as env
from project.config import log_lines, services
from project.config.theme import UNFOLD  # noqa: F401 - of the staff's pages

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))
VAR.mkdir(parents=True, exist_ok=True)

DEBUG = env.flag("DEBUG", True)
# to be reached is the point
HOST = env.text("HOST", "127.0.0.1" if DEBUG else "0.0.0.0")  # noqa: S104
PORT = env.number("PORT", 8000, 1, 65535)
SECRET_KEY = env.secret("SECRET_KEY", kept_in=VAR / "secret_key" if DEBUG else None)
JWT_SIGNING_KEYS = env.signing_keys(
    "JWT_SIGNING_KEYS", SECRET_KEY, kept_in=VAR / "jwt_signing_key" if DEBUG else None
)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = env.origins("CORS_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_EXPOSE_HEADERS = ["ETag", "Retry-After", "X-Request-ID"]
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "x-request-id",
]
NUM_PROXIES = env.number("NUM_PROXIES", 0, 0, 10)  # how many of ours append to X-Forwarded-For
METRICS_NETWORKS = env.networks("METRICS_NETWORKS")

HOLD_SECONDS = env.number("HOLD_SECONDS", 600, 1, 86400)
MAX_SEATS_PER_BOOKING = env.number("MAX_SEATS_PER_BOOKING", 10, 1, 100)
CLEANING_MINUTES = env.number("CLEANING_MINUTES", 15, 0, 1440)
MAIL_LEASE_SECONDS = env.number("MAIL_LEASE_SECONDS", 60, 5, 3600)
THROTTLES = {
    "login": env.rate("THROTTLE_LOGIN", "10/min"),
    "signup": env.rate("THROTTLE_SIGNUP", "20/hour"),
    "booking": env.rate("THROTTLE_BOOKING", "60/min"),
}
LOCKOUT_FAILURES = env.number("LOCKOUT_FAILURES", 10, 0, 1000)
LOCKOUT_SECONDS = env.number("LOCKOUT_SECONDS", 900, 1, 86400)
FLOWER_PORT = env.number("FLOWER_PORT", 5555, 1, 65535)
FLOWER_BASIC_AUTH = env.text("FLOWER_BASIC_AUTH")

INSTALLED_APPS = [
    "project",
    "cinema",
    "cinema.notifications",  # this and the next have templates and pages, and no tables
    "cinema.staff",
    "unfold.apps.BasicAppConfig",  # before the admin, whose templates it replaces
    "project.apps.Admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "project.apps.Lockouts",
    "ninja",  # its own static files: Swagger and ReDoc load nothing from outside
]
CORS = ["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []
MIDDLEWARE = [
    "project.serving.middleware.RequestMiddleware",  # around the redirect to HTTPS, too
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *CORS,
    "project.serving.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# of these, what a call with a token and no cookie needs: see ApiFastPath
API_MIDDLEWARE = [
    "project.serving.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    *CORS,
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a POST into a GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = env.text("DATABASE_URL", f"sqlite:///{VAR / 'marquee.sqlite3'}")
DATABASES = {"default": services.database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis may only say "no, not now", so nobody waits for it: the client's own defaults block for 5 to
# 45 s.
REDIS_URL = env.redis("REDIS_URL")
REDIS_TIMEOUT_SECONDS = 0.25
CACHES = {"default": services.memory_cache("default"), "local": services.memory_cache("local")}
if REDIS_URL:
    CACHES["default"] = services.redis_cache(REDIS_URL, REDIS_TIMEOUT_SECONDS)

EMAIL_FILE_PATH = VAR / "mail"  # without EMAIL_URL
globals().update(services.email(env.text("EMAIL_URL")))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Marquee <tickets@localhost>")
EMAIL_TIMEOUT = max(1, MAIL_LEASE_SECONDS // 12)  # a conversation has about ten answers to wait for

SILENCED_SYSTEM_CHECKS = [
    "models.W037",  # MariaDB builds our partial indexes whole: larger there, and as right
    "axes.W002",  # its middleware would stand in every call; our logins answer a lock-out themselves
]

LOGIN_REDIRECT_URL = "admin:index"  # of who opens the login page by itself
AUTH_USER_MODEL = "cinema.User"
AUTHENTICATION_BACKENDS = ["cinema.lockouts.Backend"]  # sessions hold this path
AXES_ENABLED = LOCKOUT_FAILURES > 0
AXES_FAILURE_LIMIT = LOCKOUT_FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=LOCKOUT_SECONDS)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "cinema.people.lockouts.Handler"
AXES_CLIENT_IP_CALLABLE = "cinema.infra.client_address.client_network"
AXES_USERNAME_FORM_FIELD = "username"
AXES_ENABLE_ADMIN = AXES_VERBOSE = False  # the admin's page is ours
PASSWORD_HASHERS = [
    "project.config.hashers.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_RESET_TIMEOUT = 3600
# Every key that matters is set: the library reads the missing ones from unprefixed environment
# variables.
NINJA_JWT: dict[str, Any] = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=30),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEYS[0],
    "VERIFYING_KEY": "",
    "ISSUER": "marquee",
    "AUDIENCE": "marquee-api",
    "JWK_URL": None,
    "LEEWAY": 0,
    "JSON_ENCODER": None,
    "USER_ID_FIELD": "id",
    "USER_ID_CLAIM": "user_id",
    "TOKEN_TYPE_CLAIM": "token_type",
    "JTI_CLAIM": "jti",
}
NINJA_PAGINATION_PER_PAGE = 50
NINJA_PAGINATION_MAX_LIMIT = 100

USE_TZ = True
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
WHITENOISE_USE_FINDERS = True  # served straight from the packages: no collectstatic step to forget
WHITENOISE_AUTOREFRESH = DEBUG

HTTPS = env.flag("HTTPS", False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS and NUM_PROXIES else None
SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.flag("HSTS_SUBDOMAINS", False)
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # also what the API takes as a body

LOGGING = log_lines.configure(debug=DEBUG, level=env.log_level("LOG_LEVEL", "INFO"))
