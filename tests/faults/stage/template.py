"""A migrated, empty database, made once and copied: initdb and the migrations would cost every
drill ten seconds.
"""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from django.conf import settings

from tests.faults.stage.programs import manage
from tests.faults.stage.servers import Postgres, binary


def migrated_postgres(server: Postgres, environment: dict[str, str]) -> None:
    """Fill the server's folder and start it."""
    kept = settings.VAR / "drill" / f"postgres-{_version_of(binary('postgres'))}"
    if kept.exists():
        shutil.copytree(kept, server.data, symlinks=True)
        server.own()
        return server.start()
    server.create()
    _migrate(environment, server.url)
    server.stop(signal.SIGINT)
    _keep(server.data, kept)
    return server.start()


def migrated_sqlite(file: Path, environment: dict[str, str]) -> None:
    kept = settings.VAR / "drill" / f"sqlite-{_version_of()}"
    if not kept.exists():
        _migrate(environment, f"sqlite:///{file}")
        _keep(file, kept)
    else:
        shutil.copy(kept, file)


def _migrate(environment: dict[str, str], url: str) -> None:
    """With the product's own settings: those of a broken guard may not pass the checks in front of
    it.
    """
    own = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "project.settings"}
    manage("migrate", "--verbosity=0", environment=environment | own)


def _keep(made: Path, kept: Path) -> None:
    """Under its name only when it is whole, and in the place of older ones."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    for old in kept.parent.glob(f"{kept.name.partition('-')[0]}-*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    draft = kept.with_name(f"draft-{os.getpid()}-{kept.name}")
    if made.is_dir():
        shutil.copytree(made, draft, symlinks=True)
    else:
        shutil.copy(made, draft)
    try:
        draft.rename(kept)
    except OSError:  # another drill was faster
        shutil.rmtree(draft, ignore_errors=True)


def _version_of(server: str = "") -> str:
    """Of the migrations and the server: others make a new template."""
    digest = hashlib.sha256()
    for path in sorted((settings.BASE_DIR / "cinema").rglob("*.py")):
        if "migrations" in path.parts:
            digest.update(path.read_bytes())
    for name in ("requirements.lock", "settings.py"):  # whose migrations come along
        digest.update((settings.BASE_DIR / "project" / name).read_bytes())
    if server:
        digest.update(subprocess.run([server, "--version"], capture_output=True, check=True).stdout)
    return digest.hexdigest()[:12]
