"""Tests as users write them, of queues and of the plug-in's fixtures; each runs in its own pytest.

Every warning is an error there, so that a coroutine that nobody awaits and a loop that nobody
closes would be seen.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLAIN = ["-Werror", "-pno:cacheprovider", "-pno:xdist", "-pno:randomly", f"--confcutdir={HERE}"]
AUTO = {"asyncio_mode": "auto", "asyncio_default_fixture_loop_scope": "function"}
STRICT = {**AUTO, "asyncio_mode": "strict"}


def run(pytester: pytest.Pytester, name: str, *options: str, **config: str) -> pytest.RunResult:
    """Run the tests of one file with *config*, and with nothing of this project's."""
    lines = [f"{option} = {value}" for option, value in config.items()]
    ini = pytester.makeini("\n".join(["[pytest]", "addopts = --import-mode=importlib", *lines]))
    return pytester.runpytest_subprocess(*PLAIN, f"-c{ini}", *options, HERE / name)
