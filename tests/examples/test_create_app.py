"""The example app, with a queue that is handed in and with one built from its settings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from scanner import Settings, create_app
from scanner.scan import ScanReport, handlers, scan

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueFullError,
)

REPORT_2024 = {
    "files": 2,
    "bytes": 21,
    "by_suffix": {"(none)": 1, ".mp4": 1},
    "unreadable": ["gone.mp4"],
}


@pytest.fixture
def settings(library: Path) -> Settings:
    """The app's settings, with the shipped default for the queue."""
    return Settings(library=library)


def start(client: TestClient, folder: str = "2024") -> dict[str, Any]:
    answer = client.post("/scans", json={"folder": folder})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert body["status_url"].endswith(f"/jobs/{body['job_id']}")
    assert answer.headers["location"] == body["status_url"]
    return body


def finish(client: TestClient, app: FastAPI, job_id: str) -> dict[str, Any]:
    """The job's record, read over HTTP after its end."""
    assert client.portal is not None
    client.portal.call(app.state.job_queue.wait, job_id)
    record: dict[str, Any] = client.get(f"/jobs/{job_id}").json()
    return record


def test_scan_is_a_function(library: Path) -> None:
    """The handler can be called without any queue, and looks at every file."""
    assert scan(JobContext(), root=library / "2024") == ScanReport.model_validate(REPORT_2024)
    whole = scan(JobContext(), root=library)
    assert (whole.files, whole.bytes, whole.by_suffix) == (3, 321, {".mp4": 2, "(none)": 1})


def test_injected_queue_is_used(settings: Settings) -> None:
    """A queue that is handed in serves the requests, and the settings' backend is not built."""
    queue = InMemoryJobQueue()
    with TestClient(create_app(queue, settings=settings)) as client:
        body = start(client)
        record = client.get(body["status_url"]).json()
        assert asyncio.run(queue.get_status(body["job_id"])) == JobStatus.COMPLETED
    assert (record["status"], record["result"]) == ("completed", REPORT_2024)
    assert (record["progress"], record["message"]) == (1.0, "3 of 3 files")


def test_queue_is_built_from_settings(settings: Settings) -> None:
    """Without a queue the app builds the one that its settings name, here asyncio."""
    app = create_app(settings=settings)
    with TestClient(app) as client:
        assert isinstance(app.state.job_queue, AsyncioJobQueue)
        record = finish(client, app, start(client)["job_id"])
    assert (record["status"], record["result"]) == ("completed", REPORT_2024)


def test_settings_come_from_the_environment(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment chooses library and backend, one variable for each field."""
    monkeypatch.setenv("SCANNER_LIBRARY", str(library))
    monkeypatch.setenv("SCANNER_JOBS__BACKEND", "memory")
    monkeypatch.setenv("SCANNER_JOBS__TIMEOUT", "60")
    app = create_app()
    with TestClient(app) as client:
        assert isinstance(app.state.job_queue, InMemoryJobQueue)
        assert app.state.job_queue.settings.timeout == 60
        assert client.get(start(client)["status_url"]).json()["result"] == REPORT_2024


@pytest.mark.parametrize("injected", [True, False])
def test_two_clients_in_a_row(settings: Settings, injected: bool) -> None:
    """An app can be started again and again, with either queue, and leaves nothing behind."""
    queue = InMemoryJobQueue(handlers) if injected else None
    app = create_app(queue, settings=settings)
    used = []
    for _ in range(2):
        with TestClient(app) as client:
            used.append(app.state.job_queue)
            assert finish(client, app, start(client)["job_id"])["result"] == REPORT_2024
        assert not hasattr(app.state, "job_queue")
        assert not used[-1].started
    assert (used[0] is used[1]) == injected


def test_earlier_record_survives_with_an_injected_queue(settings: Settings) -> None:
    """An injected queue keeps its finished records from one start of the app to the next."""
    app = create_app(AsyncioJobQueue(handlers), settings=settings)
    with TestClient(app) as client:
        job_id = start(client)["job_id"]
        first = finish(client, app, job_id)
    with TestClient(app) as client:
        assert client.get(f"/jobs/{job_id}").json() == first


@pytest.fixture
def durable(library: Path, tmp_path: Path) -> Settings:
    """The app's settings, with jobs in a file."""
    jobs = JobQueueSettings(backend="sqlite", url=str(tmp_path / "jobs.db"), drain_timeout=0)
    return Settings(library=library, jobs=jobs)


def test_records_survive_with_jobs_in_a_file(durable: Settings) -> None:
    """With `sqlite` in its settings a new app has the records of the one before."""
    with TestClient(create_app(settings=durable)) as client:
        job_id = start(client)["job_id"]
        first = finish(client, cast(FastAPI, client.app), job_id)
        assert (first["status"], first["result"]) == ("completed", REPORT_2024)
    with TestClient(create_app(settings=durable)) as client:
        assert client.get(f"/jobs/{job_id}").json() == first
        assert client.delete(f"/jobs/{job_id}").json() == {"cancelled": False}


def test_the_environment_chooses_a_file(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two variables of the environment make the jobs durable."""
    monkeypatch.setenv("SCANNER_LIBRARY", str(library))
    monkeypatch.setenv("SCANNER_JOBS__BACKEND", "sqlite")
    monkeypatch.setenv("SCANNER_JOBS__URL", str(tmp_path / "jobs.db"))
    app = create_app()
    with TestClient(app) as client:
        assert finish(client, app, start(client)["job_id"])["result"] == REPORT_2024
    assert (tmp_path / "jobs.db").exists()


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_interrupted_scan_runs_again_unless_it_was_cancelled(
    durable: Settings, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    """A scan that ran when the app stopped is done in the next app; one that was cancelled is not."""
    held = JobHandlers()

    @held.job("scan")
    async def endless(ctx: JobContext, root: Path) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr("scanner.app.handlers", held)
        with TestClient(create_app(settings=durable)) as client:
            url = start(client)["status_url"]
            while client.get(url).json()["status"] == "pending":
                pass
            if cancelled:
                assert client.delete(url).json() == {"cancelled": True}
    app = create_app(settings=durable)
    with TestClient(app) as client:
        record = finish(client, app, url.rpartition("/")[2])
    expected = ("cancelled", None) if cancelled else ("completed", REPORT_2024)
    assert (record["status"], record["result"]) == expected


def test_two_apps_at_once_have_queues_of_their_own(settings: Settings) -> None:
    """Nothing is shared at module level: two apps in one process do not see each other's jobs."""
    one, two = create_app(settings=settings), create_app(settings=settings)
    with TestClient(one) as client_one, TestClient(two) as client_two:
        job_id = start(client_one)["job_id"]
        assert client_two.get(f"/jobs/{job_id}").status_code == 404
        assert finish(client_one, one, job_id)["status"] == "completed"


def test_running_job_is_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancel endpoint stops a running job, and says false once it has ended."""
    own = JobHandlers()

    @own.job("scan")
    async def endless(ctx: JobContext, root: Path) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("scanner.app.handlers", own)  # one name is one function in an app
    app = create_app(AsyncioJobQueue(own), settings=settings)
    with TestClient(app) as client:
        url = start(client)["status_url"]
        assert client.get(url).json()["status"] == "running"
        assert client.delete(url).json() == {"cancelled": True}
        record = finish(client, app, url.rpartition("/")[2])
        assert (record["status"], record["cancel_requested"]) == ("cancelled", True)
        assert client.delete(url).json() == {"cancelled": False}


def test_waiting_job_is_cancelled(settings: Settings) -> None:
    """A job that waits is cancelled at once and never runs."""
    queue = InMemoryJobQueue(settings=JobQueueSettings(options={"autorun": False}))
    with TestClient(create_app(queue, settings=settings)) as client:
        url = start(client)["status_url"]
        assert client.get(url).json()["status"] == "pending"
        assert client.delete(url).json() == {"cancelled": True}
        assert client.get(url).json()["status"] == "cancelled"
        assert client.portal is not None
        assert client.portal.call(queue.run_next) is None


def test_failed_job_is_shown(settings: Settings) -> None:
    """A job that failed is an answer, not an error of the endpoint."""
    queue = InMemoryJobQueue()
    queue.set_outcome("scan", status=JobStatus.FAILED, error="disk on fire")
    with TestClient(create_app(queue, settings=settings)) as client:
        record = client.get(start(client)["status_url"]).json()
    assert (record["status"], record["error"]) == ("failed", "disk on fire")


@pytest.mark.parametrize(
    "folder",
    [
        *("2022", "..", "2023/../..", "2023/beach.mp4", "~"),
        *("/", "/etc", "//etc", "away", "loop"),
        *("a\0b", "x" * 300, "x/" * 3000, "\ud800"),
    ],
    ids=lambda folder: ascii(folder)[:20],
)
def test_only_folders_of_the_library(library: Path, settings: Settings, folder: str) -> None:
    """What is not a folder of the library is 404, links and impossible names too: no job is made."""
    (library / "away").symlink_to("/etc")
    (library / "loop").symlink_to(library / "loop")
    queue = InMemoryJobQueue()
    with TestClient(create_app(queue, settings=settings)) as client:
        answer = client.post(
            "/scans",
            content=json.dumps({"folder": folder}),
            headers={"content-type": "application/json"},
        )
        assert (answer.status_code, answer.json()) == (
            404,
            {"detail": "the library has no such folder"},
        )
    assert asyncio.run(queue.list_jobs()) == []


class Stub:
    """The three methods that an endpoint needs, and nothing else."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.submitted: list[tuple[str, Mapping[str, Any]]] = []

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        if self.error is not None:
            raise self.error
        self.submitted.append((job_type, payload))
        return "stub-1"

    async def get_status(self, job_id: str) -> JobStatus:
        raise JobNotFoundError(job_id)

    async def get_result(self, job_id: str) -> JobResult[Any]:
        raise JobNotFoundError(job_id)


def test_three_methods_are_enough(settings: Settings, library: Path) -> None:
    """A stub with the three methods serves the app; what it cannot do is a plain answer."""
    stub: AsyncJobQueue = Stub()
    assert not isinstance(stub, JobBackend)
    with TestClient(create_app(stub, settings=settings)) as client:
        assert start(client)["job_id"] == "stub-1"
        assert client.get("/jobs/stub-1").status_code == 404
        assert client.delete("/jobs/stub-1").status_code == 501
    assert isinstance(stub, Stub)
    assert stub.submitted == [("scan", {"root": library / "2024"})]


@pytest.mark.parametrize("error", [QueueFullError(3), QueueClosedError()])
def test_busy_or_closing_queue_is_503(settings: Settings, error: Exception) -> None:
    """A queue that takes nothing now answers 503, and when to come back."""
    with TestClient(create_app(Stub(error), settings=settings)) as client:
        answer = client.post("/scans", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"


def test_backend_that_is_not_installed_stops_the_start(library: Path) -> None:
    """A wrong backend name fails the app's startup and lists the names that would do."""
    settings = Settings(library=library, jobs=JobQueueSettings(backend="asyncoi"))
    app = create_app(settings=settings)
    with pytest.raises(
        LookupError, match="no backend 'asyncoi'; installed: asyncio, memory, postgres, sqlite"
    ):
        TestClient(app).__enter__()


def test_schema_describes_the_record(settings: Settings) -> None:
    """The record is a response model, so clients can be generated from the schema."""
    schema = create_app(settings=settings).openapi()
    answer = schema["paths"]["/jobs/{job_id}"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"]["$ref"].endswith("JobResult")
    record = schema["components"]["schemas"]["JobResult"]["properties"]
    assert {"status", "progress", "result", "error"} <= record.keys()
