"""What every test here checks when it is over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture
async def tidy() -> AsyncIterator[None]:
    """No task is left, and the event loop had nothing to complain of."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    gc.freeze()  # so that the collection below has only this test's objects to look at
    yield
    await asyncio.sleep(0)
    gc.collect()  # what a task has not told by now, it tells when it is collected
    gc.unfreeze()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert complaints == []
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
