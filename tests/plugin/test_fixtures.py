"""The plug-in of pytest: three fixtures, in every kind of test, at no cost to other projects."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

import pytest

from ..support.programs import run_python, unmeasured
from ..support.suites import AUTO, STRICT, run

pytest_plugins = ["pytester"]

NAMES = ["job_handlers", "job_queue", "stepped_job_queue"]
UNWANTED = {"stoat_jobs", "hypothesis", "pytest_asyncio", "pydantic", "anyio"}
LOOKS = """
    import sys

    def test_nothing_was_imported():
        print(*sys.modules)
"""


@pytest.mark.parametrize("config", [AUTO, STRICT, None], ids=["auto", "strict", "no plug-in"])
def test_sync_tests(pytester: pytest.Pytester, config: dict[str, str] | None) -> None:
    """Plain tests have the fixtures, whatever plug-in for async tests is there."""
    options = ["-pno:asyncio", "-pno:anyio"] if config is None else []
    run(pytester, "fixtures_sync.py", *options, **(config or {})).assert_outcomes(passed=4)


@pytest.mark.parametrize("config", [AUTO, STRICT], ids=["auto", "strict"])
def test_pytest_asyncio(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, config: dict[str, str]
) -> None:
    """Tests of pytest-asyncio have them, in both of its modes, and may start the queue."""
    monkeypatch.setenv("MARKS", "" if config is AUTO else "asyncio")
    run(pytester, "fixtures_async.py", **config).assert_outcomes(passed=3)


def test_anyio(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of anyio's plug-in have them, on asyncio."""
    monkeypatch.setenv("MARKS", "anyio")
    run(pytester, "fixtures_async.py", "-pno:asyncio").assert_outcomes(passed=3)


def test_the_registry_is_new_for_each_test(pytester: pytest.Pytester) -> None:
    """What one test registers no other test has."""
    run(pytester, "fixtures_fresh.py", **STRICT).assert_outcomes(passed=2)


def test_the_plugin_can_be_left_out(pytester: pytest.Pytester) -> None:
    """Without the plug-in there are no such fixtures, and with it there are."""
    pytester.makepyfile("\n".join(f"def test_{name}({name}): pass" for name in NAMES))
    options = ["-Werror", "-o", "asyncio_default_fixture_loop_scope=function"]
    without = pytester.runpytest_subprocess(*options, "-pno:stoat_jobs")
    without.assert_outcomes(errors=len(NAMES))
    without.stdout.fnmatch_lines_random([f"*fixture '{name}' not found*" for name in NAMES])
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=len(NAMES))


def test_pytest_explains_the_fixtures(pytester: pytest.Pytester) -> None:
    """`pytest --fixtures` says what each of them is for."""
    explained = pytester.runpytest_subprocess("--fixtures").stdout
    for name in NAMES:
        explained.fnmatch_lines(
            [f"{name} -- *_stoat_jobs_pytest.py:*", "    ?*."], consecutive=True
        )


def test_loading_it_imports_nothing_else() -> None:
    """A run of tests of any project pays for three functions: no queue, no test library."""
    code = "import sys, pytest; before = {*sys.modules}; import _stoat_jobs_pytest;"
    code += "print(*{*sys.modules} - before)"
    assert run_python("-c", code, env=unmeasured()).stdout.split() == ["_stoat_jobs_pytest"]


def test_a_run_with_the_plugin_imports_no_queue(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest itself loads it and nothing that it might need: neither backend nor Hypothesis."""
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        monkeypatch.delenv(name)
    pytester.makepyfile(LOOKS)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    done = pytester.runpytest_subprocess("-s", "-pstoat_jobs")
    done.assert_outcomes(passed=1)
    modules = set(done.stdout.str().split())
    assert "_stoat_jobs_pytest" in modules
    assert {module.split(".")[0] for module in modules} & UNWANTED == set()


def test_it_is_registered_once_under_its_name() -> None:
    """The distribution has one plug-in, by the name that switches it off."""
    (ours,) = (point for point in entry_points(group="pytest11") if "stoat" in point.value)
    assert (ours.name, ours.value) == ("stoat_jobs", "_stoat_jobs_pytest")
