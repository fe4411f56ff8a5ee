"""What a queue declares of itself: typed, said once, and never misspelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobBackend
from stoat_jobs.backends import Capabilities, StoredJobQueue

DECLARED = [
    (AsyncioJobQueue, {"keeps_any_result": True}),
    (
        InMemoryJobQueue,
        {
            "concurrent": False,
            "submit_returns_early": False,
            "waits_between_attempts": False,
            "waits_for_delays": False,
        },
    ),
    (StoredJobQueue, {"durable": True, "requeues_at_shutdown": True}),
]


@pytest.mark.parametrize(("queue_class", "declared"), DECLARED)
def test_what_the_shipped_queues_declare(queue_class: Any, declared: Mapping[str, bool]) -> None:
    """Each declares what is not so by default, and nothing more."""
    assert queue_class.capabilities.model_dump(exclude_defaults=True) == declared


def test_a_queue_has_its_settings_and_capabilities() -> None:
    """Whoever is given a JobBackend reads both, whichever backend it is."""
    queue: JobBackend = InMemoryJobQueue()
    assert queue.settings.concurrency == 1
    assert Capabilities.of(queue) is queue.capabilities


@pytest.mark.parametrize("lacking", ["settings", "capabilities"])
def test_a_backend_has_both(lacking: str) -> None:
    """What lacks one of them is no JobBackend, whatever methods it has."""
    members = {name: ... for name in dir(InMemoryJobQueue()) if not name.startswith("__")}
    members |= {"__aenter__": ..., "__aexit__": ...}
    assert isinstance(type("Whole", (), dict(members))(), JobBackend)
    del members[lacking]
    assert not isinstance(type("Lacking", (), dict(members))(), JobBackend)


def test_a_misspelt_capability_is_refused_with_the_near_name() -> None:
    """An error says which name is not one, and names first what was probably meant."""
    misspelt: dict[str, Any] = {"durabel": True}
    with pytest.raises(TypeError) as caught:
        Capabilities(**misspelt)
    text = str(caught.value)
    assert text.startswith("no capability 'durabel'; known, nearest first: durable, concurrent")
    assert all(name in text for name in Capabilities.model_fields)


def test_a_capability_is_a_bool() -> None:
    """What cannot be read as one is refused, by the name of the capability."""
    unclear: Any = "sometimes"
    with pytest.raises(ValidationError, match="durable"):
        Capabilities(durable=unclear)


@pytest.mark.parametrize("declared", [None, {"durable": True}, [], Capabilities])
def test_what_declares_nothing_is_told_what_to_write(declared: Any) -> None:
    """A mapping, or nothing, in the place of capabilities is an error with the remedy."""
    queue = type("Mine", (), {} if declared is None else {"capabilities": declared})()
    remedy = r"Mine\.capabilities must be a Capabilities, as in capabilities = Capabilities\("
    with pytest.raises(TypeError, match=remedy):
        Capabilities.of(queue)
