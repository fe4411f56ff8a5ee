"""What the public API may do between two releases: grow, and break by name only."""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
from pathlib import Path

import pytest

import stoat_jobs

from .comparing import RECORDED, ROOT, compare, last_release, may_break, record
from .surface import FACES, surface

SOURCE = Path(stoat_jobs.__file__).parents[1]
UNRECORDED = "the API is not as recorded: nox -s api -- --record"
BY_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout of what is compared, in no repository."""
    shutil.copytree(ROOT / RECORDED, tmp_path / RECORDED)
    shutil.copytree(SOURCE / "stoat_jobs", tmp_path / "src/stoat_jobs")
    shutil.copy(SOURCE / "_stoat_jobs_pytest.py", tmp_path / "src")
    edit(tmp_path, "pyproject.toml", '[project]\nversion = "0.1.0"\n')
    return tmp_path


def edit(root: Path, file: str, new: str, old: str | None = None) -> None:
    """Write a *file*, or change what it has."""
    if old is not None:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text
        new = text.replace(old, new)
    (root / file).write_text(new, encoding="utf-8")


def remove_a_parameter(root: Path) -> None:
    file = "src/stoat_jobs/_app/get_queue.py"
    edit(
        root,
        file,
        "(source: Any) -> JobBackend:",
        "(source: Any, name: str | None = None) -> JobBackend:",
    )


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def release(root: Path, tag: str) -> None:
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", tag)
    git(root, "tag", tag)


def test_the_api_is_as_recorded() -> None:
    """Whoever changes the public API changes its record, which a reviewer reads."""
    recorded = {path.stem: path.read_text("utf-8") for path in (ROOT / RECORDED).iterdir()}
    assert recorded == surface(SOURCE)


def test_every_public_module_is_recorded() -> None:
    """No module that users may import is left out."""
    modules = pkgutil.iter_modules(stoat_jobs.__path__, "stoat_jobs.")
    public = {each.name for each in modules if "._" not in each.name}
    assert {"stoat_jobs", "_stoat_jobs_pytest", *public} == set(FACES)


def test_a_removed_parameter_is_a_breaking_change(copy: Path) -> None:
    """What callers can no longer pass is named as a breaking change, and is refused."""
    remove_a_parameter(copy)
    report, wrong = compare(copy, copy / "src")
    assert wrong == [UNRECORDED]
    broken = report[report.index("Breaking changes:") + 1 :]
    assert broken[0].startswith("- `get_queue(name)`: *Parameter was removed*")
    assert "-def get_queue(source: Any, name: str | None = None) -> JobBackend: ..." in report


def test_an_addition_breaks_nothing_and_is_recorded(copy: Path) -> None:
    """What is new is shown; it is refused until it is recorded."""
    file = "src/stoat_jobs/_app/get_queue.py"
    edit(
        copy,
        file,
        "(source: Any, name: str | None = None, new: int = 0)",
        "(source: Any, name: str | None = None)",
    )
    report, wrong = compare(copy, copy / "src")
    assert wrong == [UNRECORDED]
    assert any(line.startswith("+def get_queue(source: Any, name: ") for line in report)
    assert "Breaking changes:" not in report
    record(copy, copy / "src")
    assert compare(copy, copy / "src")[1] == []


def test_without_a_release_that_is_said(copy: Path) -> None:
    """In an sdist, or a clone without tags, the record is all that there is."""
    report, wrong = compare(copy, copy / "src")
    assert report[1:] == ["No change.", "No release to compare with: no tag is here."]
    assert wrong == []


@BY_GIT
def test_tags_of_a_folder_above_are_none_of_ours(copy: Path) -> None:
    """An sdist that is unpacked in somebody's repository is not compared with its releases."""
    inside = copy / "src"
    release(copy, "v7.0.0")
    assert last_release(copy) == "v7.0.0"
    assert last_release(inside) is None


@BY_GIT
def test_what_a_release_promised_is_broken_by_name_and_number(copy: Path) -> None:
    """A breaking change since the last release is named, and needs a version that may break it."""
    release(copy, "v0.1.0")
    remove_a_parameter(copy)
    record(copy, copy / "src")
    report, wrong = compare(copy, copy / "src")
    assert "## API against v0.1.0" in report
    assert any("`get_queue(name)`" in line for line in report)
    assert wrong == ["the API breaks what v0.1.0 promised: raise the version in pyproject.toml"]
    edit(copy, "pyproject.toml", "0.2.0", "0.1.0")
    assert compare(copy, copy / "src") == (report, [])


@pytest.mark.parametrize(
    ("released", "now", "may"),
    [
        ("0.1.0", "0.1.1", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "1.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0", True),
    ],
)
def test_which_versions_may_break_which(released: str, now: str, may: bool) -> None:
    """Before 1.0 a minor version may change the API, and from then on a major one only."""
    assert may_break(released, now) is may
