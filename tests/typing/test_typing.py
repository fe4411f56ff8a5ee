"""Type checkers accept what they should, and refuse each line that they should."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stoat_jobs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOW_TO = ROOT / "docs" / "how-to"
ACCEPTS = HERE / "accepts.py"
REJECTS = HERE / "rejects.py"
MARK = re.compile(r" {2}# type: ignore\[.+\]$", re.MULTILINE)

Lines = dict[int, str]
"""What a checker said, by line."""


def mypy(path: Path) -> Lines:
    command = ["mypy", "--strict", "--config-file=", f"--cache-dir={path.parent}", "--output=json"]
    output = run(command, path)
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert found or not output.strip()
    return {
        each["line"]: each["message"]
        for each in found
        if each["severity"] == "error" and Path(each["file"]).name == path.name
    }


def pyright(path: Path) -> Lines:
    (path.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable]
    command += ["--project", str(path.parent)]
    report = json.loads(run(command, path))
    assert report["summary"]["filesAnalyzed"] > 0
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }


def run(command: list[str], path: Path) -> str:
    """What a checker prints about the file, run by and for this interpreter."""
    if "--project" not in command:
        command = [*command, str(path)]
    finished = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        check=False,  # 1 means that errors were found
        env=environment(),
        text=True,
    )
    assert finished.returncode in (0, 1), finished.stderr or finished.stdout
    return finished.stdout


def environment() -> dict[str, str]:
    """The package under test is found, installed or not; coverage stays out of the checkers."""
    folder = Path(stoat_jobs.__file__).parents[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env.pop("MYPYPATH", None)
    if folder.name != "site-packages":
        env["MYPYPATH"] = str(folder)
    return env


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])
Checker = Callable[[Path], Lines]


@pytest.mark.slow
@CHECKERS
def test_what_is_right_is_accepted(checker: Checker, tmp_path: Path) -> None:
    """Right code has no errors in strict mode, and its types are the ones that it asserts."""
    path = tmp_path / "accepts.py"
    path.write_text(ACCEPTS.read_text())
    assert checker(path) == {}


@pytest.mark.slow
@CHECKERS
def test_what_is_wrong_is_refused(checker: Checker, tmp_path: Path) -> None:
    """Each marked line has an error once its mark is gone, and no other line has one."""
    source = REJECTS.read_text()
    marked = {
        number for number, line in enumerate(source.splitlines(), start=1) if MARK.search(line)
    }
    path = tmp_path / "rejects.py"
    path.write_text(MARK.sub("", source))
    found = checker(path)
    lines = source.splitlines()
    assert not [lines[number - 1] for number in sorted(marked - found.keys())], "accepted"
    assert not {lines[number - 1]: found[number] for number in found.keys() - marked}
    assert len(marked) > 40


@pytest.mark.slow
@pytest.mark.parametrize("page", ["handler-dependencies", "observe"])
def test_what_the_how_to_recommends_is_accepted(page: str, tmp_path: Path) -> None:
    """Who copies a page into typed code has no errors in strict mode; lines are the page's."""
    path = tmp_path / f"{page.replace('-', '_')}.py"
    path.write_text(shown_code((HOW_TO / f"{page}.md").read_text()))
    assert mypy(path) == {}


@pytest.mark.slow
@CHECKERS
def test_what_the_readme_shows_is_accepted(checker: Checker, tmp_path: Path) -> None:
    """Who begins with the README's program has no errors in strict mode; lines are the README's."""
    path = tmp_path / "readme.py"
    path.write_text(shown_code((ROOT / "README.md").read_text()))
    assert checker(path) == {}


def shown_code(text: str) -> str:
    """The Python blocks of a page, each on the lines where it stands."""
    language, lines = "", list[str]()
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append("" if fence or language != "python" else line)
        if fence:
            language = "" if language else line.removeprefix("```")
    return "\n".join(lines)


def test_what_is_accepted_also_runs() -> None:
    """The accepted code is no fiction: it registers its handlers and builds its queues."""
    names = runpy.run_path(str(ACCEPTS))
    assert len(names["handlers"]) == 13
