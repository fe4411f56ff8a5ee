"""The commands beside a server, a distribution or a directory that means no good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from stoat_jobs import JobContext
from stoat_jobs._cli.watch.drawing import draw_job, draw_jobs
from stoat_jobs._cli.watch.remote import Remote, WatchedJob
from stoat_jobs._demo import tree as tree_module
from stoat_jobs._demo.app import create_app
from stoat_jobs._demo.scan import scan_directory

from ..support.environments import install
from ..support.programs import Start
from ..support.stand_in import EVENTS, JOB, MOUNT, StandIn, answer, ended, record
from .test_watch import Watch, watch

__all__ = ["watch"]  # a fixture

SECRETS = ["--header", "X-Api-Key: s3cret", "--header", "Authorization: Bearer s3cret"]


@pytest.fixture
def elsewhere() -> Iterator[StandIn]:
    """Another server, which is another origin by its port."""
    with closing(StandIn()) as other:
        yield other


@pytest.mark.parametrize("path", [JOB, MOUNT])
def test_no_header_goes_to_another_origin(
    server: StandIn, elsewhere: StandIn, watch: Watch, path: str
) -> None:
    """After a redirect to another origin none of the user's headers is sent, nor afterwards."""
    server.answers[path] = [(307, {"Location": elsewhere.url + path}, b"")]
    elsewhere.answers[MOUNT] = [answer([record()]), answer([record()]), answer({}, 410)]
    elsewhere.tell(ended())
    watch(server.url + path, "--every", "0.001", *SECRETS)
    assert [headers["x-api-key"] for _, headers in server.seen] == ["s3cret"]
    assert len(elsewhere.seen) >= 2
    for _, headers in elsewhere.seen:
        assert "s3cret" not in str(headers)
        assert headers["host"] == elsewhere.url.removeprefix("http://")


def test_no_header_goes_on_from_a_stream(server: StandIn, elsewhere: StandIn, watch: Watch) -> None:
    """Neither when the stream is redirected, and not back again by way of another origin."""
    server.refusals = [(307, {"Location": elsewhere.url + EVENTS}, b"")]
    elsewhere.refusals = [(307, {"Location": f"{server.url}/back"}, b"")]
    watch(server.url + JOB, *SECRETS)
    assert [path for path, _ in elsewhere.seen] == [EVENTS]
    seen = {path: "s3cret" in str(headers) for path, headers in [*server.seen, *elsewhere.seen]}
    assert seen == {JOB: True, EVENTS: False, "/back": False}


def test_headers_go_on_at_their_own_origin(server: StandIn, watch: Watch) -> None:
    """A redirect within the origin keeps them."""
    server.answers["/jobs"] = [(307, {"Location": MOUNT}, b"")]
    server.answers[MOUNT] = [answer([]), answer({}, 410)]
    watch(f"{server.url}/jobs", *SECRETS)
    assert [headers["x-api-key"] for _, headers in server.seen] == ["s3cret"] * 3


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("http://a.example/", "https://a.example/", True),
        ("http://a.example:80/", "https://a.example:443/", True),
        ("https://a.example/", "https://a.example:443/x", True),
        ("https://a.example/", "http://a.example/", False),
        ("http://a.example:8000/", "https://a.example:8000/", False),
        ("https://a.example/", "https://b.example/", False),
        ("https://a.example/", "https://a.example.b.example/", False),
    ],
)
async def test_what_another_origin_is(before: str, after: str, kept: bool) -> None:
    """The same host under the same scheme and port, or by TLS where it was not."""
    asked = Remote(httpx.URL(before), [("X-Api-Key", "s3cret")], 1.0)
    request = httpx.Request("GET", after, headers={"x-api-key": "s3cret"})
    await asked._drop_headers_elsewhere(request)
    await asked.aclose()
    assert ("x-api-key" in request.headers) is kept


MAD: dict[str, Any] = {
    "progress": [1e308, -1, 1.5, "NaN", "half", [], 10**400, -1e308],
    "attempt": [-1, 10**20, 10**400, 1.5, "many"],
    "submitted_at": ["2026-01-01T10:00:00", 1e308, "now", None, -(10**400)],
    "started_at": ["2026-01-01T10:00:00", 1e300, {}],
    "finished_at": ["2026-01-01T10:00:00", "99999-01-01T00:00:00Z"],
    "status": ["paused", 1, None],
    "job_id": [None, 5, ["x"]],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in MAD.items() for v in vs], ids=str)
@pytest.mark.parametrize("path", [JOB, MOUNT])
def test_mad_values_are_no_job(
    server: StandIn, watch: Watch, path: str, name: str, value: object
) -> None:
    """What no job's record says is one line, not a traceback."""
    said = record(**{name: value})
    server.answers[path] = [answer(said if path == JOB else [record(), said]), answer({}, 410)]
    server.tell(ended())  # who takes it for a job sees its end, and does not wait for ever
    code, out, err = watch(server.url + path, "--every", "0.001")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("stoat-jobs watch: this URL is neither")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000])
@pytest.mark.parametrize("name", ["progress", "attempt", "result", "submitted_at"])
def test_mad_numbers(server: StandIn, watch: Watch, name: str, number: str) -> None:
    """Numbers that JSON or Python cannot hold are no traceback, whatever they are said to be."""
    fields: dict[str, Any] = {name: 0}
    said = json.dumps(ended(**fields)).replace(f'"{name}": 0', f'"{name}": {number}')
    server.answers[JOB] = [(200, {}, said.encode())]
    code, _, err = watch(server.url + JOB)
    assert code in (0, 2)
    assert err.count("\n") <= 1


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_time(server: StandIn, watch: Watch, moment: str) -> None:
    """Moments that are years away are shown, in lines and in tables."""
    times = dict.fromkeys(("submitted_at", "started_at", "finished_at"), moment)
    for said in (record(submitted_at=moment, started_at=moment), {**ended(), **times}):
        server.answers[JOB] = [answer(said)]
        server.tell(ended())
        assert watch(server.url + JOB)[0] == 0
        job = WatchedJob.model_validate(said)
        now = datetime.now(UTC)
        draw_job(job, now, 150)
        draw_jobs([job], now, 150, 40)


@pytest.mark.parametrize("told", [b"-5000", b"9" * 4000, b"0"])
async def test_a_wish_that_is_mad(server: StandIn, told: bytes) -> None:
    """No server has itself asked without a pause, or has its clients stay away for ever."""
    server.retry = told
    server.tell(ended())
    asked = Remote(httpx.URL(server.url + JOB), [], 1.0)
    changes = asked.changes()
    await anext(changes)
    await changes.aclose()
    await asked.aclose()
    assert 0 <= asked.retry_after <= 60


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        f"Thu, 01 Jan 2026 10:00:00 +{'9' * 30}",
    ],
)
async def test_a_clock_that_is_mad(server: StandIn, date: str) -> None:
    """A clock that is years away is not believed."""
    server.date = date
    asked = Remote(httpx.URL(server.url + JOB), [], 1.0)
    await asked.look()
    await asked.aclose()
    assert abs(asked.now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("charset", ["base64", "hex", "rot13", "utf-16", "no-such", "idna"])
async def test_a_stream_in_a_mad_encoding(server: StandIn, charset: str) -> None:
    """A stream is UTF-8, whatever its server says."""
    said = f"data: {json.dumps(ended())}\n\n".encode()
    server.refusals = [(200, {"Content-Type": f"text/event-stream; charset={charset}"}, said)]
    asked = Remote(httpx.URL(server.url + JOB), [], 1.0)
    changes = asked.changes()
    assert [job.status for job in await anext(changes)] == ["completed"]
    await changes.aclose()
    await asked.aclose()


def test_no_text_of_a_distribution_is_a_control_code(start: Start, tmp_path: Path) -> None:
    """`backends` escapes names, versions and reasons, whoever wrote them."""
    install(tmp_path, "evil-plugin", "evil\x1b[2J = evil:Queue\n", evil="raise OSError('\\x1b[2J')")
    info = tmp_path / "evil-plugin-1.2.dist-info"
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: evil\x1b]0;x\x07-plugin\nVersion: 1\x1b[2J\u202e\n"
    )
    install(tmp_path, "second", "evil\x1b[2J = evil:Queue\n")
    code, out, err = start("backends", PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (1, "")
    assert out.count("evil\\x1b[2J") >= 2
    for line in out.splitlines():
        assert line.isprintable(), line


def test_no_text_of_a_backend_is_a_control_code(start: Start, tmp_path: Path) -> None:
    """So does `check`."""
    source = "import stoat_jobs\nclass Queue(stoat_jobs.InMemoryJobQueue): ...\n"
    source += "Queue.__qualname__ = 'Q\\x1b[2J'\n"
    install(tmp_path, "evil-plugin", "evil = evil:Queue\n", evil=source)
    command = start("check", "evil", PYTHONPATH=str(tmp_path))
    assert command.read_until("evil: ").isprintable()
    command.interrupt()
    command.finish()


def test_a_page_of_another_site_starts_no_scan(tree: Path) -> None:
    """What a page of another site has a browser post to the demo is refused; programs may."""
    with TestClient(create_app(tree), base_url="http://localhost") as client:
        for headers in (
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "null", "content-type": "text/plain"},
        ):
            refused = client.post("/scan", headers=headers)
            assert refused.status_code == 403
            assert refused.headers["content-type"] == "application/problem+json"
        assert client.get("/jobs/").json() == []
        assert client.post("/scan").status_code == 202
        assert client.post("/scan", headers={"origin": "http://localhost"}).status_code == 202


class Growing(JobContext):
    """Makes the file longer each time that the scan looks whether to go on."""

    __slots__ = ("path",)

    path: Path

    def raise_if_cancelled(self) -> None:
        if self.path.stat().st_size < 1000:  # the test fails, not the machine
            with self.path.open("ab") as file:
                file.write(b"x" * 10)


def test_a_file_that_grows_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file no more is read than it said it has, however much it goes on to give."""
    monkeypatch.setattr("stoat_jobs._demo.scan.CHUNK_BYTES", 10)
    ctx = Growing()
    ctx.path = tmp_path / "log"
    ctx.path.write_bytes(b"x" * 10)
    assert scan_directory(ctx, tmp_path).bytes < 100


def test_files_that_say_they_are_empty_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below /proc, where some give bytes without end, and some wait for ever."""
    (tmp_path / "pagemap").touch()
    monkeypatch.setattr("stoat_jobs._demo.scan.chunks", lambda *_: pytest.fail("it was read"))
    report = scan_directory(JobContext(), tmp_path)
    assert (report.files, report.bytes, report.unreadable) == (1, 0, 0)


def test_a_file_that_says_it_is_endless_is_refused(tmp_path: Path) -> None:
    """As /proc/kcore, which says that it has all that a processor can address."""
    with (tmp_path / "kcore").open("wb") as file:
        file.truncate(tree_module.MOST_BYTES + 1)
    report = scan_directory(JobContext(), tmp_path)
    assert (report.files, report.unreadable) == (0, 1)
    assert "too large" in report.unreadable_listed[0].reason


def test_a_process_is_scanned() -> None:
    """The files of this process end, among them one that gives bytes without end."""
    report = scan_directory(JobContext(), Path("/proc/self"))
    assert report.files > 10
