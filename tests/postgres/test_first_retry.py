"""What fails once is often over a moment later, so the first retry comes at once."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from ..support.postgres.opened import connections
from .fake_clock import clock, on_a_fake_clock


@pytest.mark.parametrize("failures", [1, 2])
def test_a_statement_that_failed_once_is_sent_again_at_once(
    monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """Only from the second failure on there is a pause."""
    used = connections("postgresql://nobody@127.0.0.1:1/nothing")
    left = [asyncpg.DeadlockDetectedError("deadlock detected")] * failures

    async def fetch(*_: Any, **__: Any) -> list[Any]:
        if left:
            raise left.pop()
        return []

    monkeypatch.setattr(used, "fetch", fetch)
    _ask(used=used, paused=failures > 1)


@on_a_fake_clock
async def _ask(used: Any, *, paused: bool) -> None:
    begun = clock().time()
    assert await clock().drive(used.fetch_retried("SELECT 1")) == []
    assert (clock().time() > begun) is paused
