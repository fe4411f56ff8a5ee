"""Startup, body and shutdown, each ok, failing and cancelled, on four kinds of app."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stoat_jobs import BackendError, QueueClosedError

from ..support.recorded import (
    CUT_OFF,
    TWO_SUBMITTED,
    HangingQueue,
    RecordedQueue,
    TornQueue,
    UnreachableQueue,
    gated_handlers,
    submit_two,
)
from ..support.scripted import HOSTS, Host, Script

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.parametrize("kind", HOSTS)]


@contextmanager
def left_as_found(host: Host) -> Iterator[None]:
    """Afterwards the queue is stopped, has let go of the app, and is off it."""
    yield
    assert not host.queue.started
    assert host.queue.app is None
    assert not hasattr(getattr(host.app, "state", None), "job_queue")


async def test_all_ok(kind: type[Host]) -> None:
    """A queue starts before the app and stops after it, with nothing in between."""
    script = Script()
    host = kind(RecordedQueue(script.log))
    script.end.set_result(None)
    with left_as_found(host):
        await host.live(script)
    assert script.log == ["start", "startup.complete", "stop", "stopped", "shutdown.complete"]


async def test_startup_fails__fault_23(kind: type[Host]) -> None:
    """A backend that cannot start fails the app's startup with its reason."""
    script = Script()
    host = kind(UnreachableQueue(script.log))
    with left_as_found(host), pytest.raises(BackendError, match="no answer from localhost:5432"):
        await host.live(script)
    assert script.log == ["start", *host.reply("startup")]


async def test_startup_cancelled(kind: type[Host]) -> None:
    """A start that hangs can be given up, and is cleaned up after."""
    script = Script()
    host = kind(HangingQueue(script.log))
    app = asyncio.create_task(host.live(script))
    await script.until("start")
    with left_as_found(host), pytest.raises(asyncio.CancelledError):
        app.cancel()
        await app
    assert script.log == ["start", "start given up", *host.reply("startup", cancelled=True)]


async def test_body_ok(kind: type[Host]) -> None:
    """While the app is up its queue takes work and does it."""
    script, gate = Script(), asyncio.Event()
    queue = RecordedQueue(script.log, gated_handlers(gate))
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    gate.set()
    await script.until("waiting completed")
    script.end.set_result(None)
    with left_as_found(host):
        await app
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED),
        *("running completed", "started waiting", "waiting completed"),
        *("stop", "stopped", "shutdown.complete"),
    ]


async def test_body_fails(kind: type[Host]) -> None:
    """After a failed body everything is stopped, every job settled, and the error is its own."""
    script = Script()
    queue = RecordedQueue(script.log, gated_handlers(asyncio.Event()), drain_timeout=0)
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    error = OSError("the server broke down")
    script.end.set_exception(error)
    with left_as_found(host), pytest.raises(OSError, match="the server broke down") as caught:
        await app
    assert caught.value is error
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED),
        *("stop", *CUT_OFF, "stopped", *host.reply("shutdown")),
    ]


async def test_body_cancelled(kind: type[Host]) -> None:
    """An app that is cancelled stops its queue and settles every job."""
    script = Script()
    queue = RecordedQueue(script.log, gated_handlers(asyncio.Event()), drain_timeout=0)
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    with left_as_found(host), pytest.raises(asyncio.CancelledError):
        app.cancel()
        await app
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED),
        *("stop", *CUT_OFF, "stopped", *host.reply("shutdown", cancelled=True)),
    ]


async def test_shutdown_ok(kind: type[Host]) -> None:
    """At shutdown new work is refused, waiting jobs end, and a running one may finish."""
    script, gate = Script(), asyncio.Event()
    queue = RecordedQueue(script.log, gated_handlers(gate), drain_timeout=60)
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    script.end.set_result(None)
    await script.until("waiting cancelled/Shutdown")
    with pytest.raises(QueueClosedError, match="closing or closed"):
        await queue.submit("waiting")
    gate.set()
    with left_as_found(host):
        await app
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED, "stop", "waiting cancelled/Shutdown"),
        *("running completed", "stopped", "shutdown.complete"),
    ]


async def test_shutdown_fails(kind: type[Host]) -> None:
    """A backend that breaks while it stops is reported, after its jobs were settled."""
    script = Script()
    queue = TornQueue(script.log, gated_handlers(asyncio.Event()), drain_timeout=0)
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    script.end.set_result(None)
    with left_as_found(host), pytest.raises(ConnectionResetError, match="lost localhost"):
        await app
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED),
        *("stop", *CUT_OFF, "stopped", *host.reply("shutdown")),
    ]


async def test_shutdown_cancelled(kind: type[Host]) -> None:
    """A server that gives up on the shutdown still finds every job settled."""
    script = Script()
    queue = RecordedQueue(script.log, gated_handlers(asyncio.Event()), drain_timeout=60)
    host = kind(queue)
    app = asyncio.create_task(host.live(script))
    await script.until("startup.complete")
    await submit_two(queue)
    script.end.set_result(None)
    await script.until("waiting cancelled/Shutdown")
    with left_as_found(host), pytest.raises(asyncio.CancelledError):
        app.cancel()
        await app
    assert script.log == [
        *("start", "startup.complete", *TWO_SUBMITTED),
        *("stop", *CUT_OFF, "stopped", *host.reply("shutdown", cancelled=True)),
    ]
