"""Whether all is filled in that a release needs; run by ``nox -s distribution -- release``."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

PLACEHOLDER = "OWNER"


def unfilled(pyproject: str) -> Mapping[str, str]:
    """The values that are still placeholders, by their names."""
    table = tomllib.loads(pyproject)["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    return {name: value for name, value in table.items() if PLACEHOLDER in value}


def main() -> int:
    missing = unfilled(Path("pyproject.toml").read_text(encoding="utf-8"))
    for name, value in missing.items():
        print(f"{name} is still {value!r}", file=sys.stderr)
    if missing:
        print(
            "not to be published: fill in [tool.hatch.metadata.hooks.custom] of pyproject.toml",
            file=sys.stderr,
        )
    return len(missing)


if __name__ == "__main__":
    sys.exit(main())
