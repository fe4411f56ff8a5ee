"""What must hold of a queue whatever it is given."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any

from stoat_jobs import (
    BackendNotFoundError,
    InMemoryJobQueue,
    InvalidPayloadError,
    JobQueueSettings,
    JobStatus,
    create_queue,
)

from .jobs import handlers
from .values import SECRET, armed

LONGEST = 8192

Act = Callable[[InMemoryJobQueue], Awaitable[Any]]

# What Python itself imports when it is first used.
"".encode("unicode_escape")
with contextlib.suppress(BackendNotFoundError):
    create_queue(settings=JobQueueSettings(backend="none"))

_loop = asyncio.new_event_loop()
_settings = JobQueueSettings(loop_block_limit=0, max_payload_bytes=100_000)


def attack(act: Act, *expected: type[Exception]) -> Exception | None:
    """Do *act*; check what it left, and give the error, which must be one of those expected."""
    return _loop.run_until_complete(_attack(act, expected))


async def _attack(act: Act, expected: tuple[type[Exception], ...]) -> Exception | None:
    queue = InMemoryJobQueue(handlers, _settings)
    await queue.submit("nothing", {})  # a record, for what looks at records
    modules, before = set(sys.modules), await queue.stats()
    error: Exception | None = None
    armed[0] = True
    try:
        await act(queue)
    except expected as refusal:
        error = refusal
        check_text(refusal)
        assert await queue.stats() == before, "something was queued"
    finally:
        armed[0] = False
    imported = set(sys.modules) - modules
    assert not imported, f"imported: {imported}"
    for record in await queue.list_jobs():
        assert record.status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TIMEOUT)
        assert record.error is None or (is_one_line(record.error) and len(record.error) <= 1000)
    job_id = await queue.submit("nothing", {})
    assert (await queue.get_result(job_id)).result == "done", "the queue does not run jobs"
    return error


def is_one_line(text: str) -> bool:
    return all(char.isprintable() or unicodedata.category(char) == "Zs" for char in text)


def check_text(error: Exception) -> None:
    """The error is one short line that forges nothing, and shows no value."""
    text = str(error)
    assert len(text) <= LONGEST, "the message is long"
    assert is_one_line(text), "the message is more than a line"
    assert SECRET not in text or not isinstance(error, InvalidPayloadError), "it shows a value"
    assert len(repr(getattr(error, "errors", ()))) <= 100 * LONGEST, "the details are long"
