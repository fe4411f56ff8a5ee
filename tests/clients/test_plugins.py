"""pytest-asyncio, strict and auto, and anyio's plugin: queues that are started in a fixture."""

from __future__ import annotations

import pytest

from ..support.suites import AUTO, run

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Queues and apps of fixtures serve tests in the same loop; in another, in words, not."""
    monkeypatch.setenv("ASYNCIO_MODE", mode)
    outcome = run(pytester, "queues_asyncio.py", **{**AUTO, "asyncio_mode": mode})
    outcome.assert_outcomes(passed=8, failed=3)
    outcome.stdout.fnmatch_lines_random(
        [
            "E *RuntimeError: submit() was called outside the event loop that runs the queue*",
            "E *RuntimeWarning: a job was submitted to a queue that has not been started*",
            "FAILED *::test_other_loop?AsyncioJobQueue? *",
            "FAILED *::test_other_loop?InMemoryJobQueue? *",
            "FAILED *::test_unstarted *",
        ]
    )


def test_anyio_on_asyncio(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With anyio's plugin on asyncio, queues and apps of fixtures of any scope serve tests."""
    monkeypatch.setenv("ANYIO_BACKEND", "asyncio")
    run(pytester, "queues_anyio.py", "-pno:asyncio").assert_outcomes(passed=8)


def test_anyio_on_both(pytester: pytest.Pytester) -> None:
    """On trio, which anyio's plugin takes as well unless it is told, the start says what it needs."""
    outcome = run(pytester, "queues_anyio.py", "-pno:asyncio")
    outcome.assert_outcomes(passed=8, failed=1, errors=7)
    for backend in ("asyncio", "memory"):
        outcome.stdout.fnmatch_lines_random(
            [f"E *BackendError: backend '{backend}' needs an asyncio event loop*trio*"]
        )
    outcome.stdout.no_fnmatch_line("ERROR *::*?asyncio-*")
