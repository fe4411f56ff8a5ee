"""Throw-away distributions and environments; no network, no build tool."""

from __future__ import annotations

import json
import sys
import textwrap
import venv
from pathlib import Path
from typing import Any

from .programs import run_python

BACKEND = """
from stoat_jobs import InMemoryJobQueue


class Queue(InMemoryJobQueue):
    name = "throw-away"
"""


def install(folder: Path, distribution: str, points: str, **modules: str) -> None:
    """Put a distribution with these backends and modules into *folder*."""
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[stoat_jobs.backends]\n" + points)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))


class Environment:
    """A virtual environment that sees what this one has installed, and more."""

    def __init__(self, root: Path) -> None:
        self._root = root
        venv.create(root / "venv", symlinks=True)
        self.site = next((root / "venv").glob("lib/python3*/site-packages"))
        self._python = root / "venv" / "bin" / "python"
        inherited = dict.fromkeys(path for path in sys.path if Path(path).is_dir())
        (self.site / "inherited.pth").write_text("\n".join(inherited))

    def install(
        self,
        name: str,
        backends: dict[str, str],
        modules: dict[str, str] | None = None,
        *,
        into: Path | None = None,
    ) -> None:
        """Install a distribution with these backends, by name."""
        points = "".join(f"{key} = {value}\n" for key, value in backends.items())
        install(self.site if into is None else into, name, points, **(modules or {}))

    def run(self, code: str) -> Any:
        """What *code* prints as JSON, run in this environment."""
        done = run_python("-c", textwrap.dedent(code), python=self._python, cwd=self._root)
        assert done.stderr == ""
        return json.loads(done.stdout)
