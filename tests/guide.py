"""The folder that the guide to backends builds, made of nothing but what the page shows.

``python tests/guide.py FOLDER`` makes it in FOLDER, for ``nox -s third_party`` to install.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/how-to/write-a-backend.md"

TREE = re.compile(r"^## The folder\n+```\n(\S+)\n(.+?)^```$", re.MULTILINE | re.DOTALL)
BRANCH = re.compile(r"^((?:│   |    )*)[├└]── (\S+)$", re.MULTILINE)
WHOLE = re.compile(r"^```\{literalinclude\} (\S+)\n(?::language: \w+\n)?```$", re.MULTILINE)


def files() -> Iterator[Path]:
    """The files in the tree that the page shows."""
    folder: list[str] = []
    for indent, name in BRANCH.findall(_tree()[2]):
        folder[len(indent) // 4 :] = [name]
        if "." in name:
            yield Path(*folder)


def shown() -> dict[Path, str]:
    """What the page shows whole, by its place in the folder."""
    page = PAGE.read_text(encoding="utf-8")
    whole = [(PAGE.parent / file).resolve() for file in WHOLE.findall(page)]
    example = ROOT / "examples" / _tree()[1]
    return {path.relative_to(example): path.read_text(encoding="utf-8") for path in whole}


def make(folder: Path) -> None:
    """Make each file of the tree; what the page does not show is empty."""
    for file in files():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown().get(file, ""), encoding="utf-8")


def _tree() -> re.Match[str]:
    found = TREE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found


if __name__ == "__main__":
    make(Path(sys.argv[1]))
