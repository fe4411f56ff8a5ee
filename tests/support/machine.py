"""A made-up machine for the scripts in .ci: what they call is on PATH, and only writes it down."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL = ["bash", "cat", "cp", "env", "flock", "head", "ls", "mkdir", "mktemp", "mv", "realpath"]
REAL += ["dirname", "rm", "sed", "sort", "tail", "tee", "touch", "true"]

IGNORES = """
    while read -r name value; do
        if [[ $name == SigIgn: ]]; then echo "ignores $value" >>"$LOG"; fi
    done </proc/self/status
"""
# Each begins by writing down how it was called.
MADE_UP = {
    "apt-get": "echo made-up-mirror",
    "chroot": f"""
        {IGNORES}
        [[ " $* " != *" $FAILING "* ]] || exit 1
        [[ $* =~ tests-(3\\.[0-9]+) ]] || exit 0
        mkdir -p .nox/.cache/tested
        touch ".nox/.cache/tested/${{BASH_REMATCH[1]}}"
    """,
    "debootstrap": """
        folder=${*: -2:1}
        mkdir "$folder" || exit 1  # there is none yet
        mkdir -p "$folder"/{etc,srv}
        if [[ $FAILING == debootstrap ]]; then echo "E: no such release"; exit 1; fi
    """,
    "grep": "[[ $DISTRIBUTION == debian ]]",  # in /etc/os-release
    "id": "echo $USER_ID",
    "mount": "",
    "nox": f"""
        {IGNORES}
        if [[ " $* " == *" $FAILING "* ]]; then echo "FAILED $*"; exit 1; fi
        echo "installed by ${{NOX_DEFAULT_VENV_BACKEND:-pip}}"
        [[ $* == "--tags in-turn" ]] || exit 0
        echo "${{SAYS:-}}"
        echo "coverage is measured on ${{MEASURED:-the newest that is here}}"
        mkdir -p .nox/.cache/tested
        for python in $NOX_TESTS; do touch ".nox/.cache/tested/$python"; done
    """,
    "python": """
        [[ $* == *"-m venv"* ]] || exit 0
        mkdir -p "${!#}/bin"
        cp "$0" "${!#}/bin/python"
    """,
    "unshare": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
}


class Machine:
    """The machine, with a checkout and with these Pythons installed."""

    def __init__(self, folder: Path, *pythons: str) -> None:
        self.tree = folder / "tree"
        self.chroots = folder / "chroots"
        self._log = folder / "log"
        self._bin = folder / "bin"
        self._bin.mkdir()
        for name in REAL:
            (self._bin / name).symlink_to(str(shutil.which(name)))
        for name, body in MADE_UP.items():
            self._make(name, body)
        for python in pythons:
            self._make(f"python{python}", MADE_UP["python"])
        shutil.copytree(ROOT / ".ci", self.tree / ".ci")
        shutil.copy(ROOT / "pyproject.toml", self.tree)
        self.env = {
            "DISTRIBUTION": "debian",
            "FAILING": "nothing",
            "LOG": str(self._log),
            "NEWER_PYTHONS": str(self.chroots),
            "NOX_TESTS": " ".join(pythons),
            "PATH": str(self._bin),
            "USER_ID": "0",
        }

    def _make(self, name: str, body: str) -> None:
        path = self._bin / name
        path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >>{self._log}\n{body}\n')
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the script of .ci with these arguments; *env* adds to the machine's."""
        return subprocess.run(
            [str(self.tree / ".ci" / script), *arguments],
            cwd=self.tree,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self, program: str) -> list[str]:
        """The arguments of each call of *program*, one call after another."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [
            line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")
        ]

    def ignored(self) -> list[int]:
        """The signals that each process of chroots and of nox ignored, as bits."""
        return [int(signals, 16) for signals in self.called("ignores")]

    def tested(self) -> list[str]:
        """What the chroot's nox was told: the session, and what goes to pytest."""
        calls = [call.partition("nox --session tests-") for call in self.called("chroot")]
        return [told for _, found, told in calls if found]

    def holds(self, text: str) -> list[Path]:
        """The files of the tree and of the chroots that have *text* in them."""
        files = [*self.tree.rglob("*"), *self.chroots.rglob("*")]
        return [path for path in files if path.is_file() and text.encode() in path.read_bytes()]
