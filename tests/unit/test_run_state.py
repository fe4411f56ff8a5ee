"""The states of a run: one table, and nothing that goes round it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import stoat_jobs
from stoat_jobs._run import state as state_module
from stoat_jobs._run.state import NEXT, RunState, advance, can_become

CHANGES = [(a, b) for a in RunState for b in RunState]


class Run:
    def __init__(self, state: RunState) -> None:
        self.state = state


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=str)
def test_a_change_is_legal_or_changes_nothing(before: RunState, after: RunState) -> None:
    """Each change that the table has is made; any other raises, and the run is as it was."""
    run = Run(before)
    assert can_become(run, after) is (after in NEXT[before])
    if can_become(run, after):
        advance(run, after)
        assert run.state is after
    else:
        with pytest.raises(RuntimeError, match=f"^a run that is {before} cannot become {after}$"):
            advance(run, after)
        assert run.state is before


def test_every_run_can_finish_and_nothing_follows() -> None:
    """From each state a run can finish, and only a finished one has no way out."""
    assert [state for state in RunState if not NEXT[state]] == [RunState.FINISHED]
    assert all(RunState.FINISHED in NEXT[state] for state in RunState if NEXT[state])


def test_the_rules_on_top_are_the_table() -> None:
    """The file opens with the table that it has, and says what each state means."""
    text = state_module.__doc__ or ""
    rows = re.findall(r"^(\w+) +-> (.+)$", text, re.MULTILINE)
    written = {state: set(re.findall(r"\w+", exits)) - {"nothing"} for state, exits in rows}
    assert written == {state: set(exits) for state, exits in NEXT.items()}
    assert re.findall(r"^- (\w+): ", text, re.MULTILINE) == list(RunState)


def test_a_run_changes_its_state_by_the_table_only() -> None:
    """No line of a run sets its state but the one that makes it."""
    tree = ast.parse((Path(stoat_jobs.__file__).parent / "_run/job_run.py").read_text())
    set_in = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "state"
        if isinstance(node.ctx, ast.Store)
    ]
    assert set_in == ["__init__"]
