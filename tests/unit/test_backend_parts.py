"""Parts for backends that keep their jobs elsewhere: what comes back, and what is left behind."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from dataclasses import dataclass
from threading import Event

import pytest

from stoat_jobs import (
    BackendError,
    InvalidPayloadError,
    JobContext,
    JobHandlers,
    current_job,
    current_job_id,
)
from stoat_jobs.backends import (
    KeptPayload,
    LeftBehind,
    asyncio_loop,
    check_loop,
    result_from_json,
    variables_of,
)

from ..support.lone_run import GRACE, Lone, advance, on_loops, settle

handlers = JobHandlers()


@dataclass
class Report:
    files: int


@handlers.job
def scan(ctx: JobContext, root: str, tags: set[str]) -> Report:
    return Report(1)


@handlers.job(keep_payload=True)
def kept(ctx: JobContext, root: str) -> None: ...


def test_a_payload_comes_back_from_its_text() -> None:
    """It is of the same kind, with arguments of the handler's types, and the same text."""
    frozen = scan.form.freeze({"root": "/srv", "tags": ["a"]})
    again = scan.form.restore(frozen.text)
    assert again.arguments == {"root": "/srv", "tags": {"a"}}
    assert (type(again), again.text) == (type(frozen), frozen.text)
    assert isinstance(kept.form.restore(b'{"root": "/srv"}'), KeptPayload)


def test_a_payload_that_fits_no_more_is_refused() -> None:
    """Where the code has changed since, the error is that of a submission."""
    with pytest.raises(InvalidPayloadError, match="tags"):
        scan.form.restore(b'{"root": "/srv"}')


def test_a_result_is_of_the_declared_type_if_it_fits() -> None:
    """Without a handler, or where its type has changed, it is plain JSON."""
    text = scan.encode_result(Report(3))
    assert result_from_json(text, "scan", handlers) == Report(3)
    assert result_from_json(b'{"other": 1}', "scan", handlers) == {"other": 1}
    assert result_from_json(text, "nobody", handlers) == {"files": 3}


def test_the_variables_of_a_job_have_its_id_and_nothing_else() -> None:
    """They are nobody's: whoever makes them lends none of its own."""
    own: contextvars.ContextVar[str] = contextvars.ContextVar("own")
    own.set("here")
    variables = variables_of("the-id")
    assert dict(variables.items()) == {current_job_id: "the-id"}
    assert variables.run(current_job) is None
    assert current_job_id.get() is None


async def test_a_call_from_outside_the_loop_is_refused() -> None:
    """The error names the method, and says how to call it from there."""
    loop = asyncio.get_running_loop()
    check_loop("submit", loop)
    for outside in (lambda: check_loop("submit", loop), lambda: check_loop("submit", None)):
        with pytest.raises(RuntimeError, match=r"submit\(\) was called outside.*from_thread"):
            await asyncio.to_thread(outside)
    with pytest.raises(RuntimeError, match="outside"):
        check_loop("submit", None)


async def test_a_queue_needs_a_loop_of_asyncio() -> None:
    """Where none runs, the error is the backend's, and names the remedy."""
    assert asyncio_loop("mine") is asyncio.get_running_loop()
    with pytest.raises(BackendError, match="'mine' needs an asyncio event loop"):
        await asyncio.to_thread(asyncio_loop, "mine")


@on_loops
async def test_what_is_left_behind_counts_until_it_is_gone() -> None:
    """An abandoned thread counts while it works; a handler that obeyed does not."""
    go_on = Event()

    def stuck(ctx: JobContext) -> None:
        go_on.wait()

    async def polite(ctx: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    left, lost, obeyed = LeftBehind(), Lone(stuck), Lone(polite)
    await settle()
    for lone in (lost, obeyed):
        lone.run.drop()
    await advance(GRACE)
    for lone in (lost, obeyed):
        await lone.ended()
        left.note(lone.run, abandoned=lone.run.is_alive)
    assert left.count() == 1
    await left.wait_for_tasks(asyncio.get_running_loop(), 1.0)
    go_on.set()
    while left.count():
        await asyncio.sleep(0)


async def test_a_thread_in_an_executor_is_named_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that works on for a job whose handler obeyed is in the log, by its line."""
    working, go_on = Event(), Event()

    def work() -> None:
        working.set()
        go_on.wait()

    async def threaded(ctx: JobContext) -> None:
        await asyncio.to_thread(work)

    left, lone = LeftBehind(), Lone(threaded)
    while not working.is_set():
        await asyncio.sleep(0)
    lone.run.drop()
    await lone.ended()
    with caplog.at_level(logging.WARNING, "stoat_jobs"):
        left.note(lone.run, abandoned=lone.run.is_alive)
    assert left.count() == 1
    assert [record.getMessage() for record in caplog.records] == ["thread_left"]
    go_on.set()
    while left.count():
        await asyncio.sleep(0)
