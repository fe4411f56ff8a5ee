"""What the project's own files say agrees with the code and with each other."""

from __future__ import annotations

import ast
import importlib.util
import re
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import stoat_jobs
from stoat_jobs.backends import TRANSITIONS

from .support.programs import run_python

ROOT = Path(__file__).parents[1]
TEST_MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py"))
EXTRAS = ["asyncpg", "httpx", "hypothesis", "pgqueuer", "pytest", "rich", "starlette", "uvicorn"]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def load(path: str) -> ModuleType:
    """A module that is in no package, from its file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_types_are_shipped() -> None:
    """Type checkers of users see our annotations: the package has its marker."""
    assert resources.files(stoat_jobs).joinpath("py.typed").is_file()


def test_changelog_opens_with_the_version() -> None:
    """The newest entry of the changelog is the version that is installed."""
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == metadata.version("stoat-jobs")


def test_licence() -> None:
    """The distribution says what the licence file says."""
    assert metadata.metadata("stoat-jobs")["License-Expression"] == "MIT"
    assert read("LICENSE").startswith("MIT License")


def test_the_core_needs_three_distributions() -> None:
    """Without an extra, three distributions are installed beside ours, with what they need."""
    required = [line for line in metadata.requires("stoat-jobs") or [] if "extra ==" not in line]
    names = {line.partition(">=")[0] for line in required}
    assert names == {"importlib-metadata", "pydantic", "typing-extensions"}


def test_every_shipped_backend_is_in_the_readme() -> None:
    """The README's table has the backends that we register, by name and class."""
    ours = metadata.distribution("stoat-jobs").entry_points.select(group="stoat_jobs.backends")
    rows = {(ep.name, ep.attr) for ep in ours}  # not loaded: one needs an extra
    assert set(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", read("README.md"), re.MULTILINE)) == rows


def test_every_public_name_is_in_the_reference() -> None:
    """Whoever looks a public name up finds it."""
    pages = "\n".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    documented = set(re.findall(r"^\.\. auto\w+:: (\w+)", pages, re.MULTILINE))
    assert set(stoat_jobs.__all__) - documented == set()


def test_log_events_are_those_of_the_code() -> None:
    """The reference names each event that is logged, and no other."""
    package = Path(stoat_jobs.__file__).parent
    modules = [path for path in package.rglob("*.py") if path.parent.name != "testing"]
    source = "\n".join(path.read_text() for path in modules)
    logged = re.findall(r'(?:logging\.[A-Z]+,|\blevel,|self\._log\()\s*"(\w+)"', source)
    documented = re.findall(r"^\| `(\w+)` \|", read("docs/reference/log-events.md"), re.MULTILINE)
    assert set(documented) == set(logged)


def test_status_diagram_has_every_change() -> None:
    """The picture of the states has one box for each state, one arrow for each change."""
    picture = load("docs/_ext/status_diagram.py").svg(TRANSITIONS)
    changes = {(str(a), str(b)) for a, exits in TRANSITIONS.items() for b in exits}
    assert set(re.findall(r"<title>(\w+) to (\w+)</title>", picture)) == changes
    assert set(re.findall(r">(\w+)</text>", picture)) == set(map(str, TRANSITIONS))


def test_the_map_has_every_room_and_file() -> None:
    """The map of the code names each file below the public API, under what its room is for."""
    room_map = load("docs/_ext/room_map.py")
    package = Path(stoat_jobs.__file__).parent
    beside = ("_cli", "_demo")
    rooms = {path.parent.name for path in package.glob("_*/__init__.py")}.difference(beside)
    files = {
        f"{room}/{path.stem}"
        for room in rooms
        for path in (package / room).glob("*.py")
        if path.stem != "__init__"
    }
    picture = room_map.svg()
    assert set(re.findall(r"<title>(.+?)</title>", picture)) == files
    assert set(re.findall(r'class="room">(\w+)<', picture)) == rooms
    assert all(re.fullmatch(r"[A-Z][^.]+\.", room_map.sentence(room)) for room in rooms)


def test_the_map_shows_the_way_of_a_job() -> None:
    """The numbers on the map are those of a job that is submitted, runs, and is waited for."""
    way = load("docs/_ext/room_map.py").way_of_a_job()
    milestones = ["_jobs/job_types", "_payload/form", "_backends/pending", "_run/job_run"]
    milestones += ["_run/finishing", "_model/records"]
    assert [step for step in way if step in milestones] == milestones


def test_the_pictures_are_of_the_page_as_it_is() -> None:
    """The pictures of the dashboard were taken of this page, and are soon loaded."""
    pictures = load("tests/browser/pictures.py")
    for picture in pictures.PICTURES_TAKEN:
        path = pictures.PICTURES / f"{picture.name}.png"
        assert path.stat().st_size < 200_000
        with Image.open(path) as image:
            made_from = image.info[pictures.MADE_FROM]
        assert made_from == pictures.made_from(), "the page has changed: run nox -s screenshots"


def test_import_needs_no_extra() -> None:
    """Importing the package imports nothing that an extra would have to install."""
    code = f"import sys, stoat_jobs; print(*set(sys.modules) & set({EXTRAS}))"
    assert run_python("-c", code).stdout.split() == []


@pytest.mark.parametrize("name", TEST_MODULES)
def test_every_test_opens_with_its_promise(name: str) -> None:
    """Every test says in its first sentence what it holds us to."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tests = [
        node
        for node in ast.walk(ast.parse(read(name)))
        if isinstance(node, functions) and node.name.startswith("test_")
    ]
    assert [test.name for test in tests if not ast.get_docstring(test)] == []
