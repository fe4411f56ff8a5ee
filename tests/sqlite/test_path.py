"""Which file a url means, and which urls mean none."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoat_jobs import BackendError
from stoat_jobs._sqlite.path import path_of

HOME = Path("/home/ada")
ROOT = Path("/").absolute()  # with a drive, where there are drives


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the user has a home folder too."""
    monkeypatch.setenv("HOME", str(HOME))
    monkeypatch.setenv("USERPROFILE", str(HOME))
    monkeypatch.chdir(tmp_path)
    return tmp_path


RELATIVE = {
    "jobs.db": "jobs.db",
    "./data/jobs.db": "data/jobs.db",
    "sqlite:///jobs.db": "jobs.db",
    "sqlite:///data/jobs.db": "data/jobs.db",
    "what?.db": "what?.db",
    "sqlite:///50%20.db": "50%20.db",
    "memory": "memory",
    "~.db": "~.db",
    "~nobody-of-this-name/jobs.db": "~nobody-of-this-name/jobs.db",
}


@pytest.mark.parametrize("url", RELATIVE)
def test_a_relative_path_begins_at_the_working_folder(here: Path, url: str) -> None:
    """As for every other program, and with the prefix as SQLAlchemy has it."""
    assert path_of("sqlite", url) == here / RELATIVE[url]


ABSOLUTE = {
    "/var/jobs.db": ROOT / "var/jobs.db",
    "sqlite:////var/jobs.db": ROOT / "var/jobs.db",
    "~/jobs.db": HOME / "jobs.db",
    "sqlite:///~/jobs.db": HOME / "jobs.db",
}


@pytest.mark.parametrize("url", ABSOLUTE)
def test_an_absolute_path_is_itself(url: str) -> None:
    """A ~ is the home folder: no shell has expanded what comes from the environment."""
    assert path_of("sqlite", url) == ABSOLUTE[url].absolute()


def test_a_path_object_is_a_path(here: Path) -> None:
    """Whoever has one need not make text of it."""
    assert path_of("sqlite", Path("jobs.db")) == here / "jobs.db"


def test_a_path_is_not_bound_to_the_working_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its folder later has the same file."""
    path = path_of("sqlite", "jobs.db")
    monkeypatch.chdir("/")
    assert path.is_absolute()
    assert path == here / "jobs.db"


NONE = [None, ""]
IN_MEMORY = [":memory:", "sqlite://", "sqlite:///", "sqlite:///:memory:"]
OF_ANOTHER_KIND = [
    "postgresql://app:hunter2@db/app",
    "sqlite+aiosqlite:///hunter2.db",
    "sqlite://hunter2/jobs.db",
    "sqlite:hunter2.db",
    "sqlite:///postgresql://app:hunter2@db/app",
    "FILE:hunter2?mode=memory",
    "file:///hunter2.db",
    "redis+sentinel://:hunter2@host",
]
FOLDERS = ["data/", "sqlite:///data/", ".", "/"]


def refusal(url: str | None) -> str:
    with pytest.raises(BackendError) as refused:
        path_of("sqlite", url)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("url", NONE)
def test_a_url_is_needed(url: str | None) -> None:
    """Without one there is no file of which anybody would know."""
    assert refusal(url).startswith("backend 'sqlite' needs `url` in its settings: the path of a")


@pytest.mark.parametrize("url", IN_MEMORY)
def test_a_database_in_memory_is_refused(url: str) -> None:
    """It would be gone with the process."""
    assert "is that of a database in memory; give it the path of a file" in refusal(url)


@pytest.mark.parametrize("url", OF_ANOTHER_KIND)
def test_a_url_of_another_kind_is_refused_and_not_shown(url: str) -> None:
    """It may contain a password."""
    assert "cannot use a `url` of another kind than a path or sqlite:///; give it" in refusal(url)
    assert "hunter2" not in refusal(url)


@pytest.mark.parametrize("url", FOLDERS)
def test_a_folder_is_refused(url: str) -> None:
    """Whether it looks like one or is one."""
    assert "folder" in refusal(url)


def test_a_nul_is_refused() -> None:
    """No file has one in its name."""
    assert "NUL" in refusal("jobs\0.db")


def test_parameters_are_refused() -> None:
    """They would be ignored, or be part of the file's name."""
    assert "`options` in the settings" in refusal("sqlite:///jobs.db?timeout=5")


def test_a_name_that_no_file_can_have_is_left_to_the_system(here: Path) -> None:
    """What is too long is not known to be a folder."""
    assert path_of("sqlite", "x" * 5000) == here / ("x" * 5000)
