"""What the build makes of ``[tool.hatch.metadata.hooks.custom]``: addresses, contact, README.

hatch-fancy-pypi-readme would need the project's address in each of its replacements.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_TARGET = re.compile(r"(?<=\]\()(?!https?:)[^)\s]+")  # of links and pictures
_PAGE = re.compile(r"docs/(.+)\.md(#.+)?")


class Addresses(MetadataHookInterface):
    """Fills in what ``project.dynamic`` names."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add it to *metadata*, the table ``[project]``."""
        table = self.config
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        absolute = partial(_absolute, table, f"v{metadata['version']}")
        metadata["authors"] = [{"name": table["author"], "email": table["email"]}]
        metadata["urls"] = _urls(**table)
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _TARGET.sub(absolute, readme),
        }


def _urls(repository: str, documentation: str, **_: str) -> dict[str, str]:
    return {
        "Homepage": repository,
        "Documentation": documentation,
        "Repository": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{documentation}/changelog.html",
    }


def _absolute(table: dict[str, str], tag: str, target: re.Match[str]) -> str:
    """Where something of this tree is for a reader elsewhere: a page, a picture, a file."""
    if page := _PAGE.fullmatch(target[0]):
        return f"{table['documentation']}/{page[1]}.html{page[2] or ''}"
    kind = "raw" if target[0].endswith(".png") else "blob"
    return f"{table['repository']}/{kind}/{tag}/{target[0]}"
