"""The traceback of an error as text that is safe in a log.

- The lines are those of a usual traceback. An error's message is escaped and stays on one
  line, so that it cannot forge another.
- Causes, notes and the errors of a group are included, up to a readable number.
- ``__str__`` is the only method of the error that is called. Whatever it does, there is text.
"""

from __future__ import annotations

import traceback
from typing import Any

from .._text import members_of, one_line, shown

_TEXT_LIMIT = 4000
_MOST_ERRORS = 30
_MOST_NOTES = 20
_MOST_MEMBERS = 15
_DEEPEST = 5

_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"

# Read the real attributes of an error and its class: overrides may lie or raise.
_module = vars(type)["__module__"].__get__
_qualname = vars(type)["__qualname__"].__get__
_cause = vars(BaseException)["__cause__"].__get__
_context = vars(BaseException)["__context__"].__get__
_suppresses = vars(BaseException)["__suppress_context__"].__get__
traceback_of = vars(BaseException)["__traceback__"].__get__


def traceback_text(error: BaseException) -> str:
    """The traceback of *error* as Python prints it, with messages escaped."""
    try:
        return "\n".join(_with_causes(error, set(), 0))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "Traceback that cannot be shown"


def _with_causes(error: BaseException, seen: set[int], depth: int) -> list[str]:
    lines: list[str] = []
    for each, link in reversed(_chain(error, seen)):
        lines += _without_causes(each, seen, depth)
        lines += ["", link, ""] if link else []
    return lines


def _chain(error: BaseException, seen: set[int]) -> list[tuple[BaseException, str]]:
    """*error* and the errors before it, each with the sentence that Python prints after it."""
    chain = [(error, "")]
    seen.add(id(error))
    while len(seen) < _MOST_ERRORS:
        before, link = _before(chain[-1][0])
        if before is None or id(before) in seen:
            break
        seen.add(id(before))
        chain.append((before, link))
    return chain


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    if (cause := _cause(error)) is not None:
        return cause, _CAUSE
    return (None if _suppresses(error) else _context(error)), _CONTEXT


def _without_causes(error: BaseException, seen: set[int], depth: int) -> list[str]:
    return [*_frames(error), _last_line(error), *_notes(error), *_in_group(error, seen, depth)]


def _frames(error: BaseException) -> list[str]:
    stack = traceback.extract_tb(traceback_of(error))
    for frame in stack:  # which has read its source line, so its file name may change now
        frame.filename = one_line(frame.filename, _TEXT_LIMIT)
        frame.name = one_line(frame.name, _TEXT_LIMIT)
    if not stack:
        return []
    lines = "".join(stack.format()).rstrip("\n").split("\n")
    return ["Traceback (most recent call last):", *(one_line(line, _TEXT_LIMIT) for line in lines)]


def _last_line(error: BaseException) -> str:
    try:
        text = str.__str__(str(error))[: _TEXT_LIMIT + 1]
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = "<exception str() failed>"
    return one_line(f"{_name(type(error))}: {text}" if text else _name(type(error)), _TEXT_LIMIT)


def _name(kind: type) -> str:
    module, name = _module(kind), str.__str__(_qualname(kind))
    if type(module) is not str or module in {"__main__", "builtins"}:
        return name
    return f"{module}.{name}"


def _notes(error: Any) -> list[str]:
    try:
        notes = object.__getattribute__(error, "__notes__")
    except KeyboardInterrupt:
        raise
    except BaseException:
        return []
    return [_note(note) for note in notes[:_MOST_NOTES]] if type(notes) is list else []


def _note(note: object) -> str:
    return one_line(note, _TEXT_LIMIT) if type(note) is str else shown(note)


def _in_group(error: BaseException, seen: set[int], depth: int) -> list[str]:
    lines: list[str] = []
    members = members_of(error)
    for number, member in enumerate(members[:_MOST_MEMBERS], start=1):
        lines.append(f"  +---------------- {number} of {len(members)} ----------------")
        if id(member) in seen or len(seen) >= _MOST_ERRORS or depth >= _DEEPEST:
            lines.append("  | ...")
        else:
            lines += [f"  | {line}" for line in _with_causes(member, seen, depth + 1)]
    return lines
