"""The public API as text that a reviewer reads and griffe compares.

One stub for each public module: its names, their signatures, bases and values, without ``self``.
What a class inherits from a private one is written as its own, which is how users see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import griffe

FACES = (
    "stoat_jobs",
    "stoat_jobs.backends",
    "stoat_jobs.http",
    "stoat_jobs.postgres",
    "stoat_jobs.sqlite",
    "stoat_jobs.testing",
    "_stoat_jobs_pytest",
)

# What users never name, though its name is not private.
HIDDEN = {*dir(object), "__post_init__", "__repr_args__", "__slots__"} - {"__init__"}
DECORATORS = {"abstractmethod", "classmethod", "overload", "pytest.fixture", "staticmethod"}


def surface(source: Path) -> dict[str, str]:
    """The text of each public module below *source*."""
    loader = griffe.GriffeLoader(search_paths=[source], allow_inspection=False)
    for package in {face.partition(".")[0] for face in FACES}:
        loader.load(package)
    return {face: _text(loader.modules_collection[face]) for face in FACES}


def breakages(face: str, before: str, now: str) -> list[str]:
    """What code that was written for *before* cannot rely on any more, a line each."""
    old, new = (griffe.visit(face, Path(f"{face}.txt"), text) for text in (before, now))
    found = griffe.find_breaking_changes(old, new)
    return [each.explain(griffe.ExplanationStyle.MARKDOWN) for each in found]


def _text(module: griffe.Module) -> str:
    public = set(map(str, module.exports or _defined(module)))
    chunks = ["\n".join(_lines(module[name], name, public)) for name in sorted(public)]
    return "\n\n".join(chunks) + "\n"


def _defined(module: griffe.Module) -> list[str]:
    """The public names of a module that has no ``__all__``."""
    return [name for name, each in module.members.items() if each.is_public and each.is_function]


def _lines(member: griffe.Object | griffe.Alias, name: str, public: set[str]) -> Iterator[str]:
    target = _target(member)
    if isinstance(target, griffe.Class):
        yield from _class(target, name, public)
    elif isinstance(target, griffe.Function):
        yield from _function(target, name)
    elif isinstance(target, griffe.Attribute):
        yield _attribute(target, name)
    else:
        raise TypeError(f"{name} is a {target.kind}")


def _class(target: griffe.Class, name: str, public: set[str]) -> Iterator[str]:
    bases = f"({', '.join(map(str, target.bases))})" if target.bases else ""
    yield f"class {name}{bases}:"
    own = {name: each for name, each in target.all_members.items() if _is_own(name, each, public)}
    for member in sorted(own):
        yield from (f"    {line}" for line in _lines(own[member], member, public))
    if not own:
        yield "    ..."


def _is_own(name: str, member: griffe.Object | griffe.Alias, public: set[str]) -> bool:
    """Whether the class shows it; the tests of the kit are promises, which have a page."""
    if name in HIDDEN or name.startswith("test_") or not member.is_public:
        return False
    target = _target(member)
    return not (member.inherited and target.parent and target.parent.name in public)


def _target(member: griffe.Object | griffe.Alias) -> griffe.Object:
    return member.final_target if isinstance(member, griffe.Alias) else member


def _function(target: griffe.Function, name: str) -> Iterator[str]:
    prefix = "async def " if "async" in target.labels else "def "
    for each in (*(target.overloads or ()), target):
        decorators = (str(decorator.value) for decorator in each.decorators)
        yield from (f"@{decorator}" for decorator in decorators if decorator in DECORATORS)
        # Where only ``self`` was positional, nothing is left before the slash.
        yield f"{prefix}{each.signature(name=name).replace('(/, ', '(', 1)}: ..."


def _attribute(target: griffe.Attribute, name: str) -> str:
    annotation = f": {target.annotation}" if target.annotation is not None else ""
    # What an instance is given in __init__ is no value that others see.
    shown = target.value is not None and target.labels != {"instance-attribute"}
    return f"{name}{annotation}{f' = {_value(target.value)}' if shown else ''}"


def _value(value: griffe.Expr | str | None) -> str:
    """As it is written, without what documents a field."""
    if isinstance(value, griffe.ExprCall):
        shown = [each for each in value.arguments if getattr(each, "name", "") != "description"]
        return f"{value.function}({', '.join(map(str, shown))})"
    return str(value)
