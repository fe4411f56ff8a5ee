"""An operator's commands on a backend of others, which has no reader and no option `worker`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings
from stoat_jobs._cli.main import main

from ..support.environments import install
from ..support.shared_engine import Engine
from ..support.shared_queue import SharedJobQueue

Run = Callable[..., tuple[int, str, str]]

engines: dict[str | None, Engine] = {}
handlers = JobHandlers()
calls: list[int] = []


@handlers.job(keep_payload=True)
async def scan(ctx: JobContext, files: int) -> None:
    calls.append(files)


class Foreign(SharedJobQueue):
    """Processes are played by the runs of the command."""

    def __init__(
        self, handlers: JobHandlers | None, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> None:
        engine = engines.setdefault(settings.url, Engine())
        super().__init__(handlers or JobHandlers(), settings, observers, engine=engine)


@pytest.fixture
def run(
    tmp_path: Path,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs the command; gives its exit code, output and errors."""
    install(tmp_path, "foreign", f"foreign = {__name__}:Foreign\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--backend", "foreign", "--url", str(tmp_path)])
        return (code, *capsys.readouterr())

    return run


async def _submit(url: str) -> list[str]:
    """Jobs that wait for an hour."""
    async with Foreign(handlers, JobQueueSettings(url=url), ()) as queue:
        return await queue.submit_many("scan", [{"files": n} for n in range(3)], delay=3600)


def statuses(run: Run) -> list[str]:
    return [json.loads(line)["status"] for line in run("list", "--json")[1].splitlines()]


def test_jobs_of_a_foreign_backend(run: Run, tmp_path: Path) -> None:
    """They are read and changed through its queue; none is run, so none is submitted again."""
    one, two, three = asyncio.run(_submit(str(tmp_path)))
    assert run("cancel", two) == (0, f"{two} cancelled\n", "")
    assert statuses(run) == ["pending", "cancelled", "pending"]
    app = f"{__name__}:handlers"
    code, out, err = run("resubmit", two, "--app", app)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "backend 'foreign' has no option `worker`, so that it would run jobs here: " in err
    assert f"job_id:            {two}" in run("show", two, "--app", app)[1]
    assert run("cancel", "--type", "scan", "--yes") == (0, "2 jobs cancelled.\n", "")
    assert run("delete", one, three) == (0, f"{one} deleted\n{three} deleted\n", "")
    assert statuses(run) == ["cancelled"]
    assert handlers.get("scan").concurrency is None
    assert calls == []
