"""The ways an app gets its queue, as parameters."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.apps import KINDS, WAYS, WITHOUT_A_QUEUE, Given


@pytest.fixture(params=WAYS)
def given(request: pytest.FixtureRequest) -> Given:
    """Each of the ways."""
    return WAYS[request.param]()


@pytest.fixture(params=WITHOUT_A_QUEUE)
def without_a_queue(request: pytest.FixtureRequest) -> Given:
    """The ways that give an app no queue before its lifespan runs."""
    return WAYS[request.param]()


@pytest.fixture(params=KINDS)
def queue(request: pytest.FixtureRequest) -> Any:
    """What ``with_jobs`` is given: no queue, or one of either kind."""
    return KINDS[request.param]()


@pytest.fixture(params=["asyncio", "memory"])
def injected(request: pytest.FixtureRequest) -> Any:
    """A queue of either kind."""
    return KINDS[request.param]()
