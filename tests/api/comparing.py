"""Compares the API with what was recorded of it: in this checkout, and at the last release.

griffe names what breaks. It does not judge types and overloads: their changes are in the diff.
"""

from __future__ import annotations

import subprocess
import tomllib
from difflib import unified_diff
from pathlib import Path

from .surface import FACES, breakages, surface

ROOT = Path(__file__).parents[2]
RECORDED = Path("tests/api/recorded")


def record(root: Path, source: Path) -> None:
    """Write down below *root* what the API of *source* is."""
    for face, text in surface(source).items():
        recorded = root / RECORDED / f"{face}.txt"
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(text, encoding="utf-8")


def compare(root: Path, source: Path) -> tuple[list[str], list[str]]:
    """What there is to say about the API of *source*, in the project *root*, and what is wrong."""
    now = surface(source)
    before = {face: _text(root / RECORDED / f"{face}.txt") for face in FACES}
    report, _ = _changes("the record", before, now)
    wrong = [] if before == now else ["the API is not as recorded: nox -s api -- --record"]
    if (tag := last_release(root)) is None:
        return [*report, "No release to compare with: no tag is here."], wrong
    released = {face: _released(root, tag, face) for face in FACES}
    since, broken = _changes(tag, released, now)
    if broken and not may_break(tag.removeprefix("v"), version(root)):
        wrong.append(f"the API breaks what {tag} promised: raise the version in pyproject.toml")
    return [*report, *since], wrong


def version(root: Path) -> str:
    """The version of the project below *root*."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def last_release(root: Path) -> str | None:
    """The newest tag of a version in this history; None in an sdist or a shallow clone."""
    if not (root / ".git").exists():  # else git would look into the folders above
        return None
    return _git(root, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*").strip() or None


def _changes(name: str, before: dict[str, str], now: dict[str, str]) -> tuple[list[str], bool]:
    report, broken = [f"## API against {name}"], False
    for face in FACES:
        lines = unified_diff(_lines(before[face]), _lines(now[face]), lineterm="", n=0)
        changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
        found = breakages(face, before[face], now[face])
        report += [f"### {face}", "```diff", *changed, "```"] if changed else []
        report += ["Breaking changes:", *found] if found else []
        broken = broken or bool(found)
    return (report if len(report) > 1 else [*report, "No change."]), broken


def _lines(text: str) -> list[str]:
    """As they are recorded; what is inside a class names it."""
    lines, owner = [], ""
    for line in text.splitlines():
        if line.startswith("class "):
            owner = line.removeprefix("class ").rstrip(":").partition("(")[0]
        lines.append(line.replace("    ", f"{owner}: ", 1) if line.startswith("    ") else line)
    return lines


def may_break(released: str, now: str) -> bool:
    """Whether version *now* may break *released*: before 1.0 a minor version may, then a major."""
    series = [each.split(".")[: 2 if each.startswith("0.") else 1] for each in (released, now)]
    return series[0] != series[1]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _released(root: Path, tag: str, face: str) -> str:
    return _git(root, "show", f"{tag}:{RECORDED.as_posix()}/{face}.txt")


def _git(root: Path, *arguments: str) -> str:
    """What git says; nothing if it refuses, or is not here."""
    try:
        run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        return ""
    return run.stdout.decode() if run.returncode == 0 else ""
