"""Throw-away distributions, installed into throw-away environments; no network, no build tool."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import venv
import zipfile
from pathlib import Path
from typing import Any

from . import SAFETY_NET

BACKEND = """
from stoat_jobs import InMemoryJobQueue


class Queue(InMemoryJobQueue):
    name = "throw-away"
"""


def build_wheel(folder: Path, name: str, backends: dict[str, str], modules: dict[str, str]) -> Path:
    """A wheel of the distribution *name*: *backends* by name, *modules* by name with their code."""
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    entries = "".join(f"{key} = {value}\n" for key, value in backends.items())
    files = {
        **{f"{module}.py": textwrap.dedent(code) for module, code in modules.items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[stoat_jobs.backends]\n{entries}",
        f"{info}/RECORD": "",
    }
    wheel = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


class Environment:
    """A virtual environment that sees what this one has installed, and more."""

    def __init__(self, root: Path) -> None:
        self._wheels = root / "wheels"
        self._wheels.mkdir()
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
        """Install a distribution, as installers do a pure wheel: by unpacking it."""
        wheel = build_wheel(self._wheels, name, backends, modules or {})
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site if into is None else into)

    def run(self, code: str) -> Any:
        """What *code* prints as JSON, run in this environment."""
        done = subprocess.run(
            [self._python, "-c", textwrap.dedent(code)],
            capture_output=True,
            check=False,
            text=True,
            timeout=SAFETY_NET,
            cwd=self._wheels,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)
