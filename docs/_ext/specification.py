"""The specification of a backend as Markdown, drawn from the test kit."""

from __future__ import annotations

from itertools import groupby

from stoat_jobs.backends import Capabilities
from stoat_jobs.testing._listing import Promise, promises


def capability_rows() -> list[list[str]]:
    """Name, meaning and default of each capability, and how many promises it excuses from."""
    return [
        [f"`{name}`", field.description or "", f"`{field.default}`", _excuses(name)]
        for name, field in Capabilities.model_fields.items()
    ]


def _excuses(capability: str) -> str:
    off, on = (
        sum(promise.excused_by(capability, value) for promise in promises())
        for value in (False, True)
    )
    return f"{off} if `False`" + (f", {on} if `True`" if on else "")


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
