"""The specification of a backend as Markdown, drawn from the test kit."""

from __future__ import annotations

import ast
import inspect
from itertools import groupby

from stoat_jobs.testing import _capabilities
from stoat_jobs.testing._listing import Promise, promises


def capability_rows() -> list[list[str]]:
    """Name, meaning and default of each capability, and how many promises it excuses from."""
    return [
        [f"`{name}`", meaning, f"`{_capabilities.DEFAULTS[name]}`", _excuses(name)]
        for name, meaning in _meanings().items()
    ]


def _excuses(capability: str) -> str:
    off, on = (
        sum(promise.excused_by(capability, value) for promise in promises())
        for value in (False, True)
    )
    return f"{off} if `False`" + (f", {on} if `True`" if on else "")


def _meanings() -> dict[str, str]:
    """The text below each capability in the source."""
    (source,) = ast.parse(inspect.getsource(_capabilities.Capabilities)).body
    assert isinstance(source, ast.ClassDef)
    found = {}
    for line, after in zip(source.body, source.body[1:]):
        if isinstance(line, ast.Assign) and isinstance(after, ast.Expr):
            found[ast.unparse(line.targets[0])] = _markdown(ast.literal_eval(after.value))
    return found


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def promise_list() -> str:
    """Every promise with its test, group by group."""
    groups = groupby(promises(), key=lambda promise: promise.group)
    return "\n\n".join(_group(title, list(members)) for title, members in groups)


def _group(title: str, members: list[Promise]) -> str:
    return "\n".join([f"**{title}**", "", *map(_line, members)])


def _line(promise: Promise) -> str:
    excuses = [f"`{name} = False`" for name in promise.needs]
    excuses += [f"`{promise.unless} = True`"] if promise.unless else []
    excused = f", excused by {' or '.join(excuses)}" if excuses else ""
    return f"- {promise.sentence}\\\n  `{promise.test}`{excused}"
