"""pytest-asyncio, strict and auto, and anyio's plugin: queues that are started in a fixture.

Each file of ``plugins`` runs in a pytest of its own where every warning is an error, so that a
coroutine that nobody awaits and a loop that nobody closes would be seen.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

FILES = Path(__file__).parents[1] / "support/suites"
PLAIN = ["-Werror", "-pno:cacheprovider", "-pno:xdist", "-pno:randomly", f"--confcutdir={FILES}"]


def run(pytester: pytest.Pytester, name: str, *options: str, **config: str) -> pytest.RunResult:
    """Run the tests of one file with *config*, and with nothing of this project's."""
    lines = [f"{option} = {value}" for option, value in config.items()]
    ini = pytester.makeini("\n".join(["[pytest]", "addopts = --import-mode=importlib", *lines]))
    return pytester.runpytest_subprocess(*PLAIN, f"-c{ini}", *options, FILES / name)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(pytester: pytest.Pytester, mode: str) -> None:
    """Queues and apps of fixtures serve tests in the same loop; in another, in words, not."""
    outcome = run(
        pytester,
        f"queues_{mode}.py",
        asyncio_mode=mode,
        asyncio_default_fixture_loop_scope="function",
    )
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


def test_anyio_on_asyncio(pytester: pytest.Pytester) -> None:
    """With anyio's plugin on asyncio, queues and apps of fixtures of any scope serve tests."""
    run(pytester, "queues_anyio_asyncio.py", "-pno:asyncio").assert_outcomes(passed=8)


def test_anyio_on_both(pytester: pytest.Pytester) -> None:
    """On trio, which anyio's plugin takes as well unless it is told, the start says what it needs."""
    outcome = run(pytester, "queues_anyio_backends.py", "-pno:asyncio")
    outcome.assert_outcomes(passed=8, failed=1, errors=7)
    for backend in ("asyncio", "memory"):
        outcome.stdout.fnmatch_lines_random(
            [f"E *BackendError: backend '{backend}' needs an asyncio event loop*trio*"]
        )
    outcome.stdout.no_fnmatch_line("ERROR *::*?asyncio-*")
