"""How the kit is used: with any plug-in or none, and without weighing on the package."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from pkgutil import iter_modules

import pytest

import stoat_jobs.testing
from stoat_jobs.testing import JobQueueContract, JobQueueMachine

from ..support.programs import run_python

pytest_plugins = ["pytester"]

MODULES = [
    f"stoat_jobs.testing.{module.name}" for module in iter_modules(stoat_jobs.testing.__path__)
]

A_SUITE = """
    import asyncio
    from stoat_jobs import AsyncioJobQueue
    from stoat_jobs.testing import FakeClockLoop, JobQueueContract

    class TestMine(JobQueueContract):
        async def make_queue(self, handlers, settings, observers):
            return AsyncioJobQueue(handlers, settings, observers)

        async def test_of_my_own(self):
            async with self.bench() as bench:
                assert (await bench.finish(await bench.begin(), 1)).result == 1
"""

A_PLUGIN = """
    from stoat_jobs.testing import FakeClockLoop

    def pytest_asyncio_loop_factories():
        return {"fake clock": FakeClockLoop}
"""

A_TEST_ON_THE_CLOCK = """
    import asyncio
    import pytest

    @pytest.mark.asyncio
    async def test_the_loop_is_the_fake_one():
        sleeping = asyncio.ensure_future(asyncio.sleep(300))
        await asyncio.get_running_loop().advance(300)
        assert sleeping.done()
"""


SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.mark.parametrize(
    "options",
    [["--asyncio-mode=strict", *SCOPE], ["--asyncio-mode=auto", *SCOPE], ["-pno:asyncio"]],
    ids=["strict", "auto", "no plug-in"],
)
def test_a_contract_needs_no_plugin_and_suits_each_mode(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    """A subclass runs as it is: no mark, no fixture, no conftest, own tests included."""
    pytester.makepyfile(A_SUITE)
    chosen = ["-k", "of_my_own or uuid4 or keyboard_interrupt_on or key_holds_in_every"]
    result = pytester.runpytest_subprocess("-Werror", "-rs", *options, *chosen)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"]) == (3, 1)
    result.stdout.fnmatch_lines("*excused by `cross_process = False`*")


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_clock_serves_pytest_asyncio(pytester: pytest.Pytester, mode: str) -> None:
    """The loop is a loop factory for pytest-asyncio's own tests, in both of its modes."""
    pytester.makeconftest(A_PLUGIN)
    pytester.makepyfile(A_TEST_ON_THE_CLOCK)
    result = pytester.runpytest_subprocess("-Werror", *SCOPE, f"--asyncio-mode={mode}")
    result.assert_outcomes(passed=1)


def test_a_backend_without_a_factory_is_told_so(pytester: pytest.Pytester) -> None:
    """Forgetting ``make_queue`` is an error that names it."""
    pytester.makepyfile(
        "from stoat_jobs.testing import JobQueueContract\nclass TestMine(JobQueueContract): pass\n"
    )
    result = pytester.runpytest_subprocess("-k", "uuid4")
    result.stdout.fnmatch_lines("*make_queue*")
    assert result.ret != 0


DECLARES_NOTHING = """
    from stoat_jobs import AsyncioJobQueue
    from stoat_jobs.testing import JobQueueContract

    class Silent(AsyncioJobQueue):
        capabilities = None

    class TestMine(JobQueueContract):
        async def make_queue(self, handlers, settings, observers):
            return Silent(handlers, settings, observers)
"""


def test_a_queue_that_declares_nothing_is_told_so(pytester: pytest.Pytester) -> None:
    """A queue without capabilities fails each test with an error that says what to write."""
    pytester.makepyfile(DECLARES_NOTHING)
    result = pytester.runpytest_subprocess("-k", "uuid4")
    result.stdout.fnmatch_lines("*Silent.capabilities must be a Capabilities, as in *")
    assert result.ret == 1


@pytest.mark.parametrize("base", [JobQueueContract, JobQueueMachine])
def test_a_capability_in_the_class_of_the_tests_is_refused(base: type) -> None:
    """It would have no effect there: an error says where it belongs."""
    remedy = r"Mine\.durable has no effect: .* capabilities = Capabilities\(durable=True\)"
    with pytest.raises(TypeError, match=remedy):
        type("Mine", (base,), {"durable": True})


def test_importing_the_package_imports_no_test_library() -> None:
    """An app pays nothing for the kit."""
    code = "import stoat_jobs, sys; print({'pytest', 'hypothesis'} & set(sys.modules))"
    assert run_python("-c", code).stdout.strip() == "set()"


def test_the_kit_uses_the_public_api_alone() -> None:
    """What the kit needs of the package, any backend's author can reach too."""
    folder = Path(stoat_jobs.testing.__file__).parent
    imported = {
        node.module or ""
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.level > 1 or "stoat" in (node.module or ""))
    }
    # By _exports its own names are made public.
    assert imported - {"_exports"} == {"stoat_jobs", "stoat_jobs.backends"}


@pytest.mark.parametrize("name", MODULES)
def test_a_failure_in_the_kit_shows_its_values(name: str) -> None:
    """Every module of the kit that asserts has its assertions rewritten by pytest."""
    module = importlib.import_module(name)
    assert type(module.__loader__).__name__ == "AssertionRewritingHook"
