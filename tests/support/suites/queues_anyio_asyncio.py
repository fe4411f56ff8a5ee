"""anyio's plugin, told to use asyncio alone."""

from __future__ import annotations

import pytest

from .queues_anyio_backends import (
    client,
    pytestmark,
    queue,
    shared,
    test_client,
    test_fixture,
    test_memory_unstarted,
    test_shared_again,
    test_shared_first,
)

__all__ = [
    "client",
    "pytestmark",
    "queue",
    "shared",
    "test_client",
    "test_fixture",
    "test_memory_unstarted",
    "test_shared_again",
    "test_shared_first",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"
