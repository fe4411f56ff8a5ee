"""`stoat-jobs backends`, with distributions that exist for one test."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from importlib_metadata import EntryPoint, version

from stoat_jobs._cli.main import _distribution

from ..support.environments import install
from ..support.programs import Start


def rows(out: str) -> list[list[str]]:
    """The table, its cells stripped."""
    return [line.split(maxsplit=3) for line in out.splitlines()]


def test_the_shipped_backends_are_listed(start: Start) -> None:
    """Ours are there, with distribution and version, and can be imported."""
    code, out, err = start("backends").finish()
    assert (code, err) == (0, "")
    heading, *listed = rows(out)
    assert heading == ["BACKEND", "DISTRIBUTION", "VERSION", "STATE"]
    extra = "ok" if find_spec("asyncpg") else 'not installed: pip install "stoat-jobs[postgres]"'
    assert [row[:2] + row[3:] for row in listed] == [
        ["asyncio", "stoat-jobs", "ok"],
        ["memory", "stoat-jobs", "ok"],
        ["postgres", "stoat-jobs", extra],
        ["sqlite", "stoat-jobs", "ok"],
    ]
    assert len({line.index(row[3]) for line, row in zip(out.splitlines(), rows(out))}) == 1


def test_a_backend_of_another_distribution_is_listed(start: Start, tmp_path: Path) -> None:
    """A plug-in is listed beside ours, with its own distribution."""
    install(tmp_path, "good-plugin", "good = stoat_jobs:InMemoryJobQueue\n")
    code, out, err = start("backends", PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (0, "")
    assert ["good", "good-plugin", "1.2", "ok"] in rows(out)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two\\nlines"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("", "AttributeError: module 'broken' has no attribute 'Queue'"),
    ],
)
def test_a_backend_that_cannot_be_imported_is_shown_with_its_cause(
    start: Start, tmp_path: Path, source: str, reason: str
) -> None:
    """A broken plug-in takes one line with the cause; the others are listed; exit code 1."""
    install(tmp_path, "broken-plugin", "broken = broken:Queue\n", broken=source)
    code, out, err = start("backends", PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (1, "")
    assert ["broken", "broken-plugin", "1.2", f"cannot be imported: {reason}"] in rows(out)
    assert len(rows(out)) == 6


def test_two_distributions_that_claim_one_name_are_a_clash(start: Start, tmp_path: Path) -> None:
    """A name claimed twice is shown for both, as a clash that names them; exit code 1."""
    point = "twice = stoat_jobs:InMemoryJobQueue\n"
    install(tmp_path, "first-plugin", point)
    install(tmp_path, "second-plugin", point)
    code, out, err = start("backends", PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (1, "")
    clash = "clash: claimed by first-plugin and second-plugin; uninstall one of them"
    assert ["twice", "first-plugin", "1.2", clash] in rows(out)
    assert ["twice", "second-plugin", "1.2", clash] in rows(out)


def test_a_distribution_that_is_found_twice_is_no_clash(start: Start, tmp_path: Path) -> None:
    """The same distribution on the path twice is one."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        install(tmp_path / name, "good-plugin", "good = stoat_jobs:InMemoryJobQueue\n")
    path = os.pathsep.join(str(tmp_path / name) for name in ("one", "two"))
    code, out, err = start("backends", PYTHONPATH=path).finish()
    assert (code, err) == (0, "")
    names = ["asyncio", "good", "memory", "postgres", "sqlite"]
    assert [row[0] for row in rows(out)] == ["BACKEND", *names]


def test_a_backend_without_a_distribution_is_said_to_be_unnamed() -> None:
    """An entry point that no distribution owns has a row as well."""
    point = EntryPoint("bare", "stoat_jobs:InMemoryJobQueue", "stoat_jobs.backends")
    assert _distribution(point) == ("unnamed", "")


def test_an_import_that_hangs_can_be_interrupted(start: Start, tmp_path: Path) -> None:
    """Ctrl-C while a backend is imported ends the command without a traceback."""
    # In steps: a signal in the moment before a wait begins does not end that wait.
    source = "import threading\nprint('importing', flush=True)\nwhile not threading.Event().wait(0.1): ...\n"
    install(tmp_path, "hanging-plugin", "hanging = hanging:Queue\n", hanging=source)
    command = start("backends", PYTHONPATH=str(tmp_path))
    command.read_until("importing")
    command.interrupt()
    code, _, err = command.finish()
    assert (code, err) == (130, "")


def test_a_reader_that_leaves_is_no_traceback(start: Start, tmp_path: Path) -> None:
    """Output that nobody reads ends the command quietly."""
    source = "import sys\nsys.stdin.read()\nQueue = None\n"
    install(tmp_path, "slow-plugin", "slow = slow:Queue\n", slow=source)
    command = start("backends", PYTHONPATH=str(tmp_path))
    command.stdout.close()
    assert command.finish_unread() == (1, "")


def test_a_command_is_required(start: Start) -> None:
    """Called without a command it says what is missing; exit code 2."""
    code, out, err = start().finish()
    assert (code, out) == (2, "")
    assert err.startswith("usage: stoat-jobs")
    assert "COMMAND" in err


def test_version_is_that_of_the_distribution(start: Start) -> None:
    """--version prints the name and the version that pip shows; no command is needed."""
    assert start("--version").finish() == (0, f"stoat-jobs {version('stoat-jobs')}\n", "")


def test_help_names_the_commands(start: Start) -> None:
    """--help lists the commands with what they do."""
    code, out, _ = start("--help").finish()
    assert code == 0
    assert "backends" in out
    assert "--version" in out
    assert "check that an installed backend keeps every promise" in out
    assert "scan a directory as a job of a real web app" in out
