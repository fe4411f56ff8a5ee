"""`stoat-jobs cancel`, `resubmit` and `delete`: their arguments, and where handlers are found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from stoat_jobs import BackendError, InMemoryJobQueue, JobBackend, QueueFullError
from stoat_jobs._cli.main import main
from stoat_jobs._cli.stored.app import AppError, app_name, handlers_of
from stoat_jobs._cli.stored.changing import Outcome, each

from ..support import operated
from ..support.operators import APP
from ..support.stand_in import JOB_ID

Run = Callable[..., tuple[int, str, str]]
MODULE = operated.__name__


@pytest.fixture
def run(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives its exit code, output and errors."""
    where = ["--backend", "sqlite", "--url", "no/such.db"]

    def run(*arguments: str) -> tuple[int, str, str]:
        with suppress(SystemExit):
            return (main([*arguments, *where]), *capsys.readouterr())
        return (2, *capsys.readouterr())  # as argparse ends

    return run


@pytest.mark.parametrize("command", ["cancel", "delete"])
@pytest.mark.parametrize(
    "arguments",
    [[], ["--yes"], [JOB_ID, "--all"], [JOB_ID, "--type", "scan"], ["--all", "--metadata", "a=b"]],
)
def test_jobs_are_named_in_one_way(run: Run, command: str, arguments: list[str]) -> None:
    """No filter may be a slip, and of two ways nobody knows which is meant."""
    code, out, err = run(command, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        f"stoat-jobs {command}: name the jobs, either by their ids or by --status"
    )


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["cancel", "--status", "failed"], "'failed' is not a status here; there are pending, run"),
        (["delete", "--status", "running"], "'running' is not a status here; there are completed,"),
        (["resubmit", JOB_ID], "required: --app"),
        (["resubmit", "--app", APP], "required: ID"),
        (["resubmit", JOB_ID, "--app", "shop.main"], "'shop.main' is not package.module:name"),
        (["cancel", JOB_ID, "--app", APP], "unrecognized arguments: --app"),
    ],
)
def test_arguments_that_are_refused(run: Run, arguments: list[str], remedy: str) -> None:
    """A wrong argument is refused with what it should be."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert remedy in err


@pytest.mark.parametrize("command", ["list", "show", "cancel", "resubmit", "delete"])
def test_the_help_has_the_exit_codes(run: Run, command: str) -> None:
    """A script's author finds them where the arguments are."""
    assert "\nexit codes: 0 " in run(command, "--help")[1]


@pytest.mark.parametrize("name", ["handlers", "app", "Report.model_fields"])
def test_an_app_has_the_handlers_of_its_module(name: str) -> None:
    """A registry is itself; an app's are those in its module, if it has no others."""
    assert handlers_of(MODULE, name) is operated.handlers


def test_the_module_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As servers find it; what it prints does not get into the output."""
    text = "from stoat_jobs import JobHandlers\nprint('loaded')\napp, here = 1, JobHandlers()\n"
    (tmp_path / "operated_shop.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert len(handlers_of("operated_shop", "app")) == 0
    assert capsys.readouterr() == ("", "loaded\n")


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("app = 1", "app", "cannot tell which handlers the app in {} uses: it has no JobHandlers"),
        ("app = 1", "main", "module {} has no 'main'"),
        (
            "from stoat_jobs import JobHandlers\napp, one, two = 1, JobHandlers(), JobHandlers()",
            "app",
            "it has several JobHandlers: give --app {}:one or --app {}:two",
        ),
        ("raise ValueError('no')", "app", "cannot import {}: ValueError: no"),
        ("raise SystemExit(3)", "app", "cannot import {}: SystemExit: 3"),
        (None, "app", "cannot import {}: ModuleNotFoundError: No module named "),
    ],
)
def test_handlers_that_are_not_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    text: str | None,
    name: str,
    reason: str,
) -> None:
    """The reason is one line, with what to give instead."""
    module = f"operated_{abs(hash(request.node.name))}"
    if text is not None:
        (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AppError) as caught:
        handlers_of(module, name)
    assert reason.replace("{}", module) in str(caught.value)


def test_handlers_that_are_not_found_are_one_line(run: Run) -> None:
    """Exit code 2."""
    code, out, err = run("resubmit", JOB_ID, "--app", "no.such:app")
    assert (code, out) == (2, "")
    assert err == (
        "stoat-jobs resubmit: cannot import no.such: ModuleNotFoundError: No module named 'no'\n"
    )


def test_a_name_of_an_app() -> None:
    """A module and a name in it, which may have dots."""
    assert app_name("shop.main:api.app") == ("shop.main", "api.app")


async def test_what_was_done_before_a_failure_is_told() -> None:
    """Of jobs of which one finds the backend gone, the others are told of, in their order."""

    async def one(queue: JobBackend, job_id: str) -> Outcome:
        if job_id == "c":
            raise BackendError("kept", "is gone")
        if job_id == "b":
            raise QueueFullError(1)
        return Outcome(job_id)

    told: list[Outcome] = []
    with pytest.raises(BackendError, match="is gone"):
        await each(one, "abcd", told.append, InMemoryJobQueue())
    assert [(outcome.job_id, outcome.problem is None) for outcome in told] == [
        ("a", True),
        ("b", False),
        ("d", True),
    ]
