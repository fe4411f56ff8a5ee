"""The tests of the contract are the specification: complete, in words, and hard to get out of."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest

from stoat_jobs.backends import Capabilities
from stoat_jobs.testing import JobQueueContract
from stoat_jobs.testing._listing import Promise, promises

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
FIELDS = Capabilities.model_fields
EXCUSE = re.compile(r"excused by `(\w+) = (True|False)`")

ALL_OFF = f"""
    from stoat_jobs import InMemoryJobQueue
    from stoat_jobs.backends import Capabilities
    from stoat_jobs.testing import JobQueueContract

    class Modest(InMemoryJobQueue):
        capabilities = Capabilities({", ".join(f"{name}=False" for name in FIELDS)})

    class TestAllOff(JobQueueContract):
        async def make_queue(self, handlers, settings, observers):
            return Modest(handlers, settings, observers)
"""


class Unusable:
    """A queue that declares something, and can be asked for nothing."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def excused_from(**capabilities: bool) -> dict[str, str]:
    """The tests that a queue with these is excused from, with the reasons."""

    class Contract(JobQueueContract):
        async def make_queue(self, *args: Any) -> Any:
            return Unusable(Capabilities(**capabilities))

    reasons = {}
    for promise in promises():
        test = getattr(Contract(), promise.test)
        try:
            test(**arguments(test))
        except pytest.skip.Exception as skip:
            reasons[promise.test] = str(skip)
        except Exception:  # of a queue that can do nothing: it was not excused
            pass
    return reasons


def arguments(test: Any) -> dict[str, Any]:
    """Something for each parameter of *test*: the first of its values, or for a fixture a mock."""
    given: dict[str, Any] = {name: Mock() for name in inspect.signature(test).parameters}
    for mark in getattr(test, "pytestmark", ()):
        names, values = mark.args
        names = names.split(",") if isinstance(names, str) else names
        first = next(iter(values))
        first = getattr(first, "values", first)  # of a pytest.param
        given.update(zip(names, first if len(names) > 1 else [first]))
    return given


def specification() -> ModuleType:
    """What the documentation is made with."""
    path = ROOT / "docs/_ext/specification.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("capability", FIELDS)
def test_a_capability_excuses_only_from_what_names_it(capability: str, value: bool) -> None:
    """Who declares one thing is excused from what the list says, and told by what."""
    # One excuse hides another: these hide none of those that are looked for.
    durable = capability in ("cross_process", "waits_for_newer_code")
    rest = {name: name != "durable" or durable for name in FIELDS}
    reasons = excused_from(**{**rest, capability: value})
    by_this = {test for test, reason in reasons.items() if f"`{capability} = " in reason}
    listed = {promise.test for promise in promises() if promise.excused_by(capability, value)}
    assert by_this == listed
    assert {reasons[test] for test in by_this} <= {f"excused by `{capability} = {value}`"}


def test_nobody_is_excused_without_a_capability() -> None:
    """Every excuse names a capability that exists, and every capability excuses from something."""
    named = set()
    for value in (False, True):
        reasons = excused_from(**dict.fromkeys(FIELDS, value)).values()
        matches = list(map(EXCUSE.fullmatch, reasons))
        assert None not in matches
        named |= {match[1] for match in matches if match}
    assert named == set(FIELDS)


def test_with_every_capability_off_most_promises_remain(pytester: pytest.Pytester) -> None:
    """A backend that declares that it can do nothing still keeps more than sixty promises."""
    pytester.makepyfile(ALL_OFF)
    run = pytester.runpytest_subprocess("-v", "-pno:xdist", "-pno:randomly")
    assert run.ret == 0
    kept = set(re.findall(r"::(test_\w+)\S* PASSED", run.stdout.str()))
    excused = set(re.findall(r"::(test_\w+)\S* SKIPPED", run.stdout.str()))
    assert kept | excused == {promise.test for promise in promises()}
    assert not kept & excused
    assert len(kept) >= 60


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: promise.test)
def test_a_promise_is_one_sentence_under_a_heading(promise: Promise) -> None:
    """Each test of the contract opens with the promise, so that their list can be read."""
    for text in (promise.sentence, promise.group):
        assert text[-1:] == "."
        assert not re.search(r"[.!?] ", text)


def test_the_documentation_lists_every_promise_with_its_test() -> None:
    """Whoever writes a backend reads what it has to do, and which test looks."""
    text = specification().promise_list()
    listed = re.findall(r"^- (.+)\\\n  `(\w+)`", text, re.MULTILINE)
    assert listed == [(promise.sentence, promise.test) for promise in promises()]
    assert re.findall(r"^\*\*(.+)\*\*$", text, re.MULTILINE) == list(
        dict.fromkeys(promise.group for promise in promises())
    )


def test_the_documentation_explains_every_capability() -> None:
    """Each has its meaning, its default, and the number of promises that it excuses from."""
    rows = {name.strip("`"): rest for name, *rest in specification().capability_rows()}
    assert list(rows) == list(FIELDS)
    for name, (meaning, default, excuses) in rows.items():
        assert meaning.endswith(".")
        assert default == f"`{FIELDS[name].default}`"
        numbers = [int(number) for number in re.findall(r"(\d+) if", excuses)]
        assert numbers[0] == sum(name in promise.needs for promise in promises())
        assert sum(numbers[1:]) == sum(name == promise.unless for promise in promises())


def test_the_page_for_tests_shows_both() -> None:
    """The lists are in the documentation, made anew whenever it is built."""
    page = (ROOT / "docs/reference/testing.md").read_text(encoding="utf-8")
    assert "```{capability-table}\n```" in page
    assert "```{promise-list}\n```" in page
