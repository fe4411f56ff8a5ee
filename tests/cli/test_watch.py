"""`stoat-jobs watch` as its user sees it, of a server that says anything."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from stoat_jobs._cli.main import main
from stoat_jobs._cli.watch import remote
from stoat_jobs._cli.watch.reconnect import backoff, stay_connected

from ..support.programs import Start
from ..support.stand_in import EVENTS, JOB, JOB_ID, MOUNT, StandIn, answer, ended, record

Watch = Callable[..., tuple[int, str, str]]

HOSTILE = "[red]\x1b[2J\r\nforged\u202e"
SEEN = "[red]\\x1b[2J\\r\\nforged\\u202e"


@pytest.fixture
def watch(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Watch:
    """Runs the command in this process; gives its exit code, output and errors."""

    def watch(*arguments: str) -> tuple[int, str, str]:
        with suppress(SystemExit):
            return (main(["watch", *arguments]), *capsys.readouterr())
        return (2, *capsys.readouterr())  # as argparse ends

    return watch


def test_a_job_is_followed_to_its_end(server: StandIn, watch: Watch) -> None:
    """Each change of a job is a line, the last with how long it took, then the result; exit 0."""
    server.tell(record(progress=0.0, message="counting"))
    server.tell(record(progress=0.5, message="1 of 2 files"))
    server.tell(record(progress=0.5, message="1 of 2 files"))
    server.tell(record(progress=0.6, message="1 of 2 files", attempt=1, cancel_requested=True))
    server.tell(ended(progress=1.0, message="2 of 2 files", result={"files": 2}))
    code, out, err = watch(server.url + JOB)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{JOB_ID}  scan  running",
        f"{JOB_ID}  scan  running      0%  counting",
        f"{JOB_ID}  scan  running     50%  1 of 2 files",
        f"{JOB_ID}  scan  stopping    60%  attempt 2  1 of 2 files",
        f"{JOB_ID}  scan  completed  100%  in 2.5 s  2 of 2 files",
        'result: {"files": 2}',
    ]


@pytest.mark.parametrize("status", ["failed", "timeout", "cancelled"])
@pytest.mark.parametrize(
    ("error", "shown"),
    [("no such file", "OSError: no such file"), ("OSError", "OSError"), (None, "OSError")],
)
def test_a_job_that_did_not_complete(
    server: StandIn, watch: Watch, status: str, error: str | None, shown: str
) -> None:
    """A job that ended otherwise is exit code 1, and its last line says why, once."""
    server.answers[JOB] = [answer(ended(status, error=error, error_type="OSError", message="so"))]
    code, out, err = watch(server.url + JOB)
    assert (code, out, err) == (1, f"{JOB_ID}  scan  {status:<9}  in 2.5 s  {shown}\n", "")
    assert [path for path, _ in server.seen] == [JOB]


def test_what_a_job_returned_may_have_no_json(server: StandIn, watch: Watch) -> None:
    """A result that cannot be sent is named by its type."""
    server.answers[JOB] = [answer(ended(result=None, result_error="Picture"))]
    assert watch(server.url + JOB)[1].endswith("\nresult: a Picture, which JSON cannot represent\n")


def test_a_table_is_a_line_for_each_job_that_has_changed(server: StandIn, watch: Watch) -> None:
    """Of a mount each job is a line, the oldest first, and again when it has changed."""
    one, two, three = (record(job_id=each, job_type=each) for each in ("one", "two", "three"))
    server.answers[MOUNT] = [
        answer([two, one]),
        answer([two, one], ETag='"a"'),
        (304, {}, b""),
        answer([three, {**two, "progress": 0.25}, one], ETag='"b"'),
        answer({"title": "Not allowed", "detail": "you may not list here"}, 403),
    ]
    code, out, err = watch(server.url + MOUNT, "--every", "0.001")
    assert out.splitlines() == [
        "one  one  running",
        "two  two  running",
        "two  two  running     25%",
        "three  three  running",
    ]
    assert (code, err) == (2, "stoat-jobs watch: 403 Forbidden: you may not list here\n")
    tags = [headers.get("if-none-match") for _, headers in server.seen]
    assert tags == [None, None, '"a"', '"a"', '"b"']


NEXT = f'<{MOUNT}?before=x>; rel="next"'
STATS = f"{MOUNT}stats"
COUNTS = {"by_status": {"completed": 6, "running": 1}, "slots_in_use": 1}


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("", answer(COUNTS)),
        ("?limit=1", answer(COUNTS)),
        ("", answer({}, 403)),
        ("", answer({"by_status": {"completed": -1}})),
        ("", answer("hostile")),
        ("?status=running", answer(COUNTS)),
    ],
)
def test_a_page_is_not_taken_for_all_jobs(
    server: StandIn, watch: Watch, query: str, counts: tuple[int, dict[str, str], bytes]
) -> None:
    """Where a server has more jobs than it lists, that is a line, again if it comes true again."""
    place, rows = MOUNT + query, [record()]
    some, all_ = answer(rows, Link=NEXT), answer(rows)
    server.answers[STATS] = [counts]
    server.answers[place] = [some, some, all_, some, answer({}, 410)]
    _, out, _ = watch(server.url + place, "--every", "0.001")
    said = "only the newest jobs are followed; the server has older ones"
    assert out.splitlines() == [said, f"{JOB_ID}  scan  running", said]
    asked = [path for path, _ in server.seen if path == STATS]
    assert len(asked) == (0 if "status" in query else 3)


def test_a_query_chooses_among_the_jobs(server: StandIn, watch: Watch) -> None:
    """The query of a mount's URL goes with every request."""
    place = f"{MOUNT}?status=failed&limit=5"
    server.answers[place] = [answer([]), answer([]), answer({}, 410)]
    assert watch(server.url + place, "--every", "0.001") == (2, "", "stoat-jobs watch: 410 Gone\n")
    assert {path for path, _ in server.seen} == {place}


def test_a_server_that_went_away_is_asked_again(server: StandIn, watch: Watch) -> None:
    """A stream that ends early, or is refused for now, is begun anew; that is said once each way."""
    closing_down = answer({"detail": "the queue is closing"}, 503, **{"Retry-After": "0"})
    server.tell(record(progress=0.5))
    server.hang_up()
    server.refusals = [None, closing_down, closing_down, answer({}, 429)]
    server.tell(record(progress=0.75))
    server.hang_up()
    server.tell(ended())
    code, out, _ = watch(server.url + JOB)
    assert code == 0
    assert [line.partition("scan  ")[2] or line for line in out.splitlines()] == [
        "running",
        "running     50%",
        "disconnected: the server ended the stream; retrying until Ctrl-C",
        "reconnected",
        "running     75%",
        "disconnected: the server ended the stream; retrying until Ctrl-C",
        "reconnected",
        "completed  in 2.5 s",
    ]


def test_a_server_that_is_restarted_is_found_again(server: StandIn, start: Start) -> None:
    """While nobody listens the command waits, and goes on with the server that comes back."""
    command = start("watch", server.url + JOB)
    server.tell(record(progress=0.5))
    command.read_until("50%")
    server.close()
    command.read_until("disconnected: ")
    with closing(StandIn(server.server_port)) as restarted:
        restarted.tell(record(progress=0.75))
        command.read_until("reconnected")
        command.read_until("75%")
        restarted.tell(ended())
        assert command.finish()[0] == 0


def test_a_job_that_the_server_has_lost(server: StandIn, watch: Watch) -> None:
    """A server that is back without the job ends the command with the server's own words."""
    gone = answer({"detail": "no job 'x': unknown, or no longer kept"}, 404)
    server.refusals = [None, answer({}, 500), gone]
    server.hang_up()
    code, _, err = watch(server.url + JOB)
    said = "404 Not Found: no job 'x': unknown, or no longer kept"
    assert (code, err) == (2, f"stoat-jobs watch: {said}\n")


def test_a_server_that_cannot_be_reached(watch: Watch) -> None:
    """Where nobody listens one line says so; exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://me:secret@localhost:{port}/jobs/"
    expected = f"cannot reach http://localhost:{port}/jobs/: Connection refused"
    assert watch(url) == (2, "", f"stoat-jobs watch: {expected}\n")


def test_a_server_that_does_not_answer(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that listens and says nothing is not waited for without end."""
    monkeypatch.setattr(remote, "_TIMEOUT", httpx.Timeout(0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, _, err = watch(f"127.0.0.1:{silent.getsockname()[1]}")
    assert code == 2
    assert err.endswith(": it does not answer in time\n")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ((200, {"Content-Length": "9"}, b"[]"), "the connection was lost"),
        ((307, {"Location": JOB}, b""), "Exceeded maximum allowed redirects."),
    ],
)
def test_answers_that_come_to_nothing(server: StandIn, watch: Watch, said: Any, shown: str) -> None:
    """An answer that is cut off, or leads round in a circle, is said in one line."""
    server.answers[JOB] = [said]
    expected = f"stoat-jobs watch: cannot reach {server.url}{JOB}: {shown}\n"
    assert watch(server.url + JOB) == (2, "", expected)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ((404, {}, b"<h1>Not found</h1>"), "404 Not Found"),
        (answer({"title": "Not allowed", "detail": HOSTILE}, 403), f"403 Forbidden: {SEEN}"),
        ((200, {"Content-Type": "text/html"}, b"<h1>Hello</h1>"), "this URL is neither"),
        (answer({"status": "ok"}), "this URL is neither"),
        (answer({}, 503), "cannot reach http://127.0.0.1:"),
    ],
)
def test_what_is_no_job(server: StandIn, watch: Watch, said: Any, shown: str) -> None:
    """An answer that is neither a job nor a list of them is one line that says what it is."""
    server.answers[JOB] = [said]
    code, out, err = watch(server.url + JOB)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"stoat-jobs watch: {shown}")


@pytest.mark.parametrize(
    "said", [b"<h1>Hello</h1>", b'{"status": "paused"}', b"\xff", b'"\\ud800"']
)
def test_a_stream_of_something_else(server: StandIn, watch: Watch, said: bytes) -> None:
    """What is no record ends the command, whatever it is."""
    server.send(b"data: " + said + b"\n\n")
    code, _, err = watch(server.url + JOB)
    assert code == 2
    assert err.startswith("stoat-jobs watch: this URL is neither")


def test_a_stream_that_is_none(server: StandIn, watch: Watch) -> None:
    """What answers in the place of the stream with something else is not asked for ever."""
    server.refusals = [answer(record())]
    code, _, err = watch(server.url + JOB)
    assert code == 2
    assert err.startswith("stoat-jobs watch: this URL is neither")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://", "not the URL of a web server"),
        ("ftp://localhost/jobs/", "not the URL of a web server"),
        ("http://localhost:port/jobs/", "is not a URL: Invalid port"),
        ("http://\x1b[2J/", "is not a URL: "),
    ],
)
def test_what_is_no_url(watch: Watch, url: str, shown: str) -> None:
    """What cannot be a server's address is refused in one line; exit code 2."""
    code, out, err = watch(url)
    assert (code, out) == (2, "")
    assert shown in err
    assert err.rstrip("\n").isprintable()


def test_texts_of_a_server_are_shown_as_text(server: StandIn, watch: Watch) -> None:
    """No text of a server becomes markup, a control code or a line of its own."""
    texts = {"job_id": HOSTILE, "job_type": HOSTILE, "message": HOSTILE}
    server.answers[JOB] = [answer(record(**texts))]
    server.tell(ended("failed", **texts, error=HOSTILE, error_type=HOSTILE, result=[HOSTILE]))
    code, out, _ = watch(server.url + JOB)
    assert code == 1
    assert out.splitlines() == [
        f"{SEEN}  {SEEN}  running    {SEEN}",
        f"{SEEN}  {SEEN}  failed     in 2.5 s  {SEEN}",
        f"result: {json.dumps([HOSTILE], ensure_ascii=False)}".replace("\u202e", "\\u202e"),
    ]


def test_a_separator_in_a_text_is_no_end_of_a_line(server: StandIn, watch: Watch) -> None:
    """Characters that end lines elsewhere do not end those of a stream."""
    said = json.dumps(ended(result="a\u2028b\x85c"), ensure_ascii=False)
    server.send(f"data: {said}\n\n".encode())
    code, out, _ = watch(server.url + JOB)
    assert code == 0
    assert out.endswith('\nresult: "a\\u2028b\\x85c"\n')


def test_very_long_texts_are_cut(server: StandIn, watch: Watch) -> None:
    """However long a text of a server is, its line stays one that can be read."""
    server.answers[JOB] = [answer(ended("failed", error="x" * 1_000_000, result="y" * 1_000_000))]
    assert [len(line) < 1200 for line in watch(server.url + JOB)[1].splitlines()] == [True, True]


def test_headers_go_with_each_request(server: StandIn, watch: Watch) -> None:
    """`--header` reaches the server with each request, as often as it is given."""
    server.tell(ended())
    headers = ["--header", "Authorization: Bearer s3cret", "--header", "X-Tenant:blue"]
    assert watch(server.url + JOB, *headers)[0] == 0
    assert [path for path, _ in server.seen] == [JOB, EVENTS]
    for _, seen in server.seen:
        assert (seen["authorization"], seen["x-tenant"]) == ("Bearer s3cret", "blue")


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--header", "s3cret"], "not of the form 'Name: value'"),
        (["--header", "Name: s3cret\r\nX: y"], "not of the form 'Name: value'"),
        (["--header", "N\u00e4me: s3cret"], "not of the form 'Name: value'"),
        (["--every", "0"], "not a number of seconds above 0"),
        (["--every", "nan"], "not a number of seconds above 0"),
        (["--every", "often"], "not a number of seconds above 0"),
    ],
)
def test_arguments_that_are_refused(watch: Watch, arguments: list[str], remedy: str) -> None:
    """A wrong argument is refused with what it should be; what may be a secret is not repeated."""
    code, out, err = watch("http://localhost/", *arguments)
    assert (code, out) == (2, "")
    assert remedy in err
    assert "s3cret" not in err


def test_a_redirect_is_followed(server: StandIn, watch: Watch) -> None:
    """The URL of a mount may lack its slash, as the server that redirects it knows."""
    server.answers["/jobs"] = [(307, {"Location": MOUNT}, b"")]
    server.answers[MOUNT] = [answer([]), answer({}, 410)]
    assert watch(server.url.removeprefix("http://") + "/jobs")[0] == 2
    assert [path for path, _ in server.seen] == ["/jobs", MOUNT, MOUNT]


@pytest.mark.parametrize(
    ("path", "signum", "exit_code"),
    [
        (JOB, signal.SIGINT, 130),
        (MOUNT, signal.SIGINT, 0),
        (MOUNT, signal.SIGTERM, 143),
    ],
)
def test_a_signal_leaves_quietly(
    server: StandIn, start: Start, path: str, signum: signal.Signals, exit_code: int
) -> None:
    """Ctrl-C, which is the way to leave a table, and SIGTERM end it without another word."""
    server.answers[MOUNT] = [answer([record()])]
    command = start("watch", server.url + path)
    command.read_until("running")
    command.interrupt(signum)
    assert command.finish() == (exit_code, f"{JOB_ID}  scan  running\n", "")


def test_ctrl_c_ends_what_is_stuck(server: StandIn, start: Start) -> None:
    """Where nobody reads the output any more, Ctrl-C ends the command as quietly."""
    command = start("watch", server.url + JOB)
    fcntl.fcntl(command.stdout, fcntl.F_SETPIPE_SZ, 4096)
    for number in range(100):
        server.tell(record(message=f"{number} {'x' * 400}"))
    command.read_until("running")
    command.wait_until_unread(3500)
    command.interrupt()
    assert command.finish_unread() == (130, "")


def test_missing_extras_are_named(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra [watch] one line says what is missing and how to get it; exit code 2."""
    for name in ("httpx_sse", "rich"):
        monkeypatch.setitem(sys.modules, name, None)
    missing = 'httpx_sse, rich not installed: pip install "stoat-jobs[watch]"'
    assert watch("http://localhost/jobs/") == (2, "", f"stoat-jobs watch: {missing}\n")


@pytest.mark.parametrize(("told", "seconds"), [(b"10", 0.01), (b"9" * 20, 60), (b"soon", 0)])
async def test_a_server_says_how_long_it_wishes_to_be_left_alone(
    server: StandIn, told: bytes, seconds: float
) -> None:
    """The `retry` of a stream is how long to wait before the next one, up to a minute."""
    server.retry = told
    server.tell(ended())
    asked = remote.Remote(httpx.URL(server.url + JOB), [], 1.0)
    async with aclosing(asked.changes()) as changes:
        await anext(changes)
    await asked.aclose()
    assert asked.retry_after == seconds


@pytest.mark.parametrize("skew", [timedelta(hours=-2), timedelta(), timedelta(hours=2)])
async def test_durations_are_by_the_clock_of_the_server(server: StandIn, skew: timedelta) -> None:
    """Where the server's clock differs from ours, the server's counts."""
    there = datetime.now(UTC) + skew
    server.date = format_datetime(there, usegmt=True)
    asked = remote.Remote(httpx.URL(server.url + JOB), [], 1.0)
    await asked.look()
    await asked.aclose()
    assert abs(asked.now() - there) < timedelta(minutes=1)


@pytest.mark.parametrize("date", ["yesterday", "Thu, 01 Jan 2026 10:00:00 -0000"])
async def test_a_clock_that_is_not_told_is_ours(server: StandIn, date: str) -> None:
    """A date that says nothing changes nothing."""
    server.date = date
    asked = remote.Remote(httpx.URL(server.url + JOB), [], 1.0)
    await asked.look()
    await asked.aclose()
    assert abs(asked.now() - datetime.now(UTC)) < timedelta(minutes=1)


class Waits:
    """A view that keeps how long was waited."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def show(self, jobs: remote.Jobs) -> None: ...

    def lost(self, reason: str, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_waiting_begins_anew_after_each_success(server: StandIn) -> None:
    """A server that answered in between is asked again as soon as one that was never away."""
    busy = answer({}, 503)
    server.refusals = [busy, busy, busy, None, busy]
    server.tell(record())
    server.hang_up()
    server.tell(ended())
    asked = remote.Remote(httpx.URL(server.url + JOB), [], 1.0)
    asked.retry_after = 0.01
    waits = Waits()
    last = await stay_connected(
        asked, asked.changes, waits, lambda jobs: jobs[0].finished_at is not None
    )
    await asked.aclose()
    assert last[0].status == "completed"
    assert waits.seconds == [0.01, 0.02, 0.04, 0.01, 0.02]


def test_waiting_doubles_up_to_a_bound() -> None:
    """A server is asked again after a second, or what it wishes, then less and less often."""
    assert [backoff(n, 0.0) for n in range(7)] == [1, 2, 4, 8, 15, 15, 15]
    assert [backoff(n, 4.0) for n in range(4)] == [4, 8, 15, 15]
    assert backoff(0, 40.0) == backoff(9, 40.0) == 40
