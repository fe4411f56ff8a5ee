"""The classifiers say which Pythons are supported; whatever else names some agrees with them."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

ROOT = Path(__file__).parents[1]
PROJECTS = [Path("pyproject.toml"), Path("examples/stoat-jobs-lmdb/pyproject.toml")]
PROSE = ["*.md", "docs/*.md", "docs/how-to/*.md", "docs/reference/*.md", "examples/**/*.md"]
SOURCES = ["pyproject.toml", "noxfile.py", *(f"{each}/**/*.py" for each in ("src", "tests"))]
MACHINERY = ["noxfile.py", ".ci/*", ".github/**/*.yml", ".pre-commit-config.yaml", "*.yaml"]
NEEDED = re.compile(r"\bneeds? [^.\n]*Python (?:from )?(3\.\d+)")


def read(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def named(*patterns: str) -> list[str]:
    """Every file of the checkout that one of the *patterns* names."""
    matches = (path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    found = {path.relative_to(ROOT) for path in matches}
    return sorted(str(path) for path in found if not {".nox", "node_modules"} & {*path.parts})


def others_in(files: list[str], versions: re.Pattern[str]) -> dict[str, set[str]]:
    """Which of the *versions* that the *files* name are not supported."""
    found = {path: {*versions.findall(read(path))} - {*PYTHONS} for path in files}
    return {path: others for path, others in found.items() if others}


PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read("pyproject.toml"))


def test_classifiers_are_in_order_without_a_gap() -> None:
    """Nobody has a Python between two supported ones that is not supported."""
    minors = [int(python.removeprefix("3.")) for python in PYTHONS]
    assert minors == [*range(minors[0], minors[-1] + 1)]


@pytest.mark.parametrize("path", PROJECTS, ids=str)
def test_the_oldest_may_install_us(path: Path) -> None:
    """What installers let in begins with the oldest Python, and has no end."""
    assert tomllib.loads(read(path))["project"]["requires-python"] == f">={PYTHONS[0]}"


def test_pages_name_the_oldest() -> None:
    """Every page that says which Python is needed names the oldest."""
    said = {page: needed for page in named(*PROSE) if (needed := NEEDED.findall(read(page)))}
    assert {*said} >= {"README.md", "docs/tutorial.md"}
    assert {page: needed for page, needed in said.items() if needed != [PYTHONS[0]]} == {}


def test_no_machinery_names_another() -> None:
    """No script, workflow or configuration names a Python that is not supported."""
    files = named(*MACHINERY)
    assert {"noxfile.py", ".ci/run"} <= {*files}
    versions = re.compile(r"(?<![\d.=])3\.\d\d(?!\d|\.\d)")
    assert others_in(files, versions) == {}


def test_no_comment_is_about_another() -> None:
    """What was there for a Python that is not supported any more went with it."""
    assert others_in(named(*SOURCES), re.compile(r"Python (3\.\d+)")) == {}


@pytest.mark.parametrize("path", named(".github/workflows/*.yml"))
def test_a_workflow_that_names_several_names_all(path: str) -> None:
    """GitHub has every supported Python wherever a workflow asks for more than one."""
    text = read(path)
    lists = [re.findall(r"3[\d.]+", each) for each in re.findall(r" python: \[(.*)\]", text)]
    lists += [each.split() for each in re.findall(r"python-version: \|\n((?: +3[\d.]+\n)+)", text)]
    assert [each for each in lists if each != PYTHONS] == []


def test_github_tests_each_and_three_others() -> None:
    """All Pythons on Linux, the free-threaded one allowed to fail, and two more systems."""
    text = read(".github/workflows/ci.yml")
    assert re.findall(r" python: \[(.*)\]", text) == [", ".join(f'"{each}"' for each in PYTHONS)]
    free_threaded = r'- python: "(3\.\d+)t"\n +allowed-to-fail: true\n'
    (base,) = re.findall(free_threaded, text)
    assert base in PYTHONS
    assert text.count("allowed-to-fail: true") == 1
    assert "continue-on-error: ${{ matrix.allowed-to-fail" in text
    assert [text.count(system) for system in ("windows-latest", "macos-latest")] == [1, 1]


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the noxfile defines; nox itself is not here, so a session is a bare function."""
    return run_noxfile(monkeypatch)


def run_noxfile(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:

    def session(function: Callable[..., None] | None = None, **options: Any) -> Any:
        if function is None:
            return lambda decorated: session(decorated, **options)
        return SimpleNamespace(run=function, **options)

    monkeypatch.setitem(sys.modules, "nox", MagicMock(session=session))
    monkeypatch.setenv("PATH", "")  # the noxfile changes it
    monkeypatch.chdir(ROOT)
    return runpy.run_path("noxfile.py")


def test_nox_tests_them(noxfile: dict[str, Any]) -> None:
    """The tests have a session for each Python."""
    assert noxfile["tests"].python == PYTHONS


BETWEEN = ["not slow", "tests/contract", "tests/unit", "tests/sqlite/test_contract.py"]


@pytest.mark.parametrize(
    ("python", "given", "expected"),
    [
        ("3.11", [], ["slow", *BETWEEN, "tests/clients", "tests/http_face", "tests/lifespan"]),
        ("3.12", [], BETWEEN),
        ("3.13", [], ["not slow"]),
        ("3.12", ["tests/cli"], ["tests/cli"]),
    ],
)
def test_each_test_runs_on_the_oldest_or_the_newest(
    noxfile: dict[str, Any], python: str, given: list[str], expected: list[str]
) -> None:
    """The oldest Python runs what is slow, the newest the rest, and what is between what is quick."""
    scope = noxfile["tests"].run.__globals__
    scope.update(OLDEST="3.11", MEASURED="3.13", _enter_sdist=MagicMock(), ROOT=MagicMock())
    session = MagicMock(python=python, posargs=given)
    noxfile["tests"].run(session)
    words = [word for call in session.run.call_args_list for word in call.args]
    assert [word for word in words if word.startswith(("tests/", "not", "slow"))] == expected


def test_one_python_runs_every_test(noxfile: dict[str, Any]) -> None:
    """Where there is only one Python, nothing is left out."""
    scope = noxfile["tests"].run.__globals__
    scope.update(OLDEST="3.11", MEASURED="3.11", _enter_sdist=MagicMock(), ROOT=MagicMock())
    session = MagicMock(python="3.11", posargs=[])
    noxfile["tests"].run(session)
    (call,) = session.run.call_args_list
    assert not {"-m", "slow"} & set(call.args[3:])


def test_what_the_chroot_has_tested_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a newer Python than those here was tested, the newest that is here is one in between."""
    monkeypatch.delenv("MEASURED", raising=False)
    here = run_noxfile(monkeypatch)
    assert here["MEASURED"] == here["NEWEST"]
    monkeypatch.setenv("MEASURED", PYTHONS[-1])
    assert run_noxfile(monkeypatch)["MEASURED"] == PYTHONS[-1]


def test_mypy_sees_the_oldest_and_the_newest(noxfile: dict[str, Any]) -> None:
    """Types are checked as the oldest and the newest Python see them."""
    session = MagicMock()
    noxfile["mypy"].run(session)
    words = [word for call in session.run.call_args_list for word in call.args]
    seen = [word.partition("=")[2] for word in words if word.startswith("--python-version=")]
    assert seen == [PYTHONS[0], PYTHONS[-1]]


def test_a_job_is_counted_on_each() -> None:
    """The instructions that a job costs are known for every Python."""
    counted = re.findall(r"^    \((3), (\d+)\): ", read("tests/unit/test_cost.py"), re.MULTILINE)
    assert [".".join(version) for version in counted] == PYTHONS
