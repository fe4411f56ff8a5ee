"""Where the programs of PostgreSQL and PgBouncer are; read by nox, too."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = {"postgres": "postgresql", "pgbouncer": "pgbouncer"}
"""Debian's package for each program that tests need."""

FAKETIME = "*/faketime/libfaketime.so.1"


def find(program: str) -> Path | None:
    """Where *program* is, of the newest server if there are several."""
    for folder in _folders():
        if found := shutil.which(program, path=folder):
            return Path(found)
    return None


def _folders() -> Iterator[str | None]:
    """Where Debian has servers, the newest first; then the one of ``pg_config``; then PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from map(str, sorted(debian, key=_version, reverse=True))
    if config := shutil.which("pg_config"):
        yield subprocess.run(
            [config, "--bindir"], capture_output=True, text=True, check=True
        ).stdout.strip()
    yield None
    yield "/usr/sbin"  # which PATH leaves out, except for root


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def missing() -> list[str]:
    """Debian's packages to install for what is not here."""
    return [package for program, package in PACKAGES.items() if find(program) is None]


def wrong_clock() -> Path | None:
    """The library that gives a process a wrong clock; without it, the test of that is skipped."""
    return next(Path("/usr/lib").glob(FAKETIME), None)


def useful() -> list[str]:
    """Debian's packages without which single tests are skipped."""
    return [] if wrong_clock() else ["libfaketime"]
