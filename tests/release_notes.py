"""``python tests/release_notes.py v0.1.0`` prints what the changelog says of a release, or refuses it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENTRY = re.compile(r"^## (\S+) - (\S+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class RefusedError(Exception):
    """The tag, the version and the changelog do not agree."""


def notes(tag: str, pyproject: str, changelog: str) -> str:
    """What the changelog says of the release that *tag* names."""
    version = tomllib.loads(pyproject)["project"]["version"]
    if tag != f"v{version}":
        raise RefusedError(f"the tag is {tag}, and the version in pyproject.toml {version}")
    newest = ENTRY.search(changelog)
    if newest is None or newest[1] != version:
        raise RefusedError(f"CHANGELOG.md does not open with {version}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", newest[2]):
        raise RefusedError(f"{version} has no date in CHANGELOG.md, but is {newest[2]!r}")
    return newest[3].strip() + "\n"


def main(tag: str) -> str:
    """The notes of a release of this checkout."""
    pyproject, changelog = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md")
    )
    return notes(tag, pyproject, changelog)


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]), end="")
    except RefusedError as error:
        sys.exit(str(error))
