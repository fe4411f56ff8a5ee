"""Functions that cannot be handlers, and how that is said at registration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field

from stoat_jobs import JobContext, JobHandlers

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


class NoSchema:
    pass


def nothing() -> None: ...


def no_parameters_but_the_context(ctx: JobContext) -> None: ...


def only_keywords(*, ctx: JobContext) -> None: ...


def only_open(**ctx: Any) -> None: ...


def only_args(*ctx: Any) -> None: ...


def star_args(ctx: JobContext, *names: str) -> None: ...


def positional_only(ctx: JobContext, root: Path, /) -> None: ...


def forgot_context(root: Path, depth: int = 1) -> None: ...


def forgot_context_list(roots: list[Path]) -> None: ...


def forgot_context_optional(root: Path | None) -> None: ...


def forgot_context_text(root: str) -> None: ...


def yields(ctx: JobContext) -> Iterator[int]:
    yield 1


async def async_yields(ctx: JobContext) -> AsyncIterator[int]:
    yield 1


def hidden(ctx: JobContext, price: Hidden) -> None: ...


def misspelt(ctx: JobContext, price: Pirce) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def broken_text(ctx: JobContext, price: Any) -> None: ...


broken_text.__annotations__["price"] = "list["


def none_for_int(ctx: JobContext, depth: int = None) -> None: ...  # type: ignore[assignment]


def tuple_in_any(ctx: JobContext, names: Any = ("a",)) -> None: ...


def nan(ctx: JobContext, ratio: float = float("nan")) -> None: ...


def constrained(ctx: JobContext, depth: int = Field(default=0, gt=1)) -> None: ...


def no_schema(ctx: JobContext, fine: int, thing: NoSchema) -> None: ...


def no_schema_inside(ctx: JobContext, things: dict[str, list[NoSchema]]) -> None: ...


def open_no_schema(ctx: JobContext, **things: NoSchema) -> None: ...


class Service:
    def method(self, ctx: JobContext, n: int) -> None: ...


NAMED = {
    only_keywords: "",
    nothing: "",
    only_open: "",
    only_args: "",
    star_args: "'*names'",
    positional_only: "'root'",
    forgot_context: "'root'",
    forgot_context_list: "'roots'",
    forgot_context_optional: "'root'",
    forgot_context_text: "'root'",
    yields: "generator",
    async_yields: "generator",
    functools.partial(yields): "generator",
    hidden: "'price'",
    misspelt: "'price'",
    broken_text: "'price'",
    none_for_int: "'depth'",
    tuple_in_any: "'names'",
    nan: "'ratio'",
    constrained: "'depth'",
    no_schema: "'thing'",
    no_schema_inside: "'things'",
    open_no_schema: "'**",
    Service.method: "not bound",
}


def name_of(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__) if callable(value) else ""


@pytest.mark.parametrize(("function", "named"), NAMED.items(), ids=name_of)
def test_a_signature_that_cannot_serve_is_refused(function: Any, named: str) -> None:
    """A signature that cannot serve is a TypeError at registration, naming handler and parameter."""
    handlers = JobHandlers()
    with pytest.raises(TypeError) as caught:
        handlers.register("the-handler", function)
    assert "'the-handler'" in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(handlers) == 0


@pytest.mark.parametrize("value", [None, 3, "scan", object()], ids=lambda v: type(v).__name__)
def test_what_cannot_be_called_is_refused(value: Any) -> None:
    """Only what can be called is a handler."""
    with pytest.raises(TypeError, match="'it' is not callable"):
        JobHandlers().register("it", value)


def test_a_builtin_without_signature_is_refused_by_name() -> None:
    """A builtin whose signature nobody knows is refused, naming the handler."""
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(dict.pop)
    without: Any = dict.pop
    with pytest.raises(TypeError, match="'it'"):
        JobHandlers().register("it", without)


def test_the_remedies_are_named() -> None:
    """A refusal says what to do: where to import, how to register a method."""
    handlers = JobHandlers()
    unbound: Any = Service.method
    with pytest.raises(TypeError, match="TYPE_CHECKING"):
        handlers.register("it", hidden)
    with pytest.raises(TypeError, match=r"register\('it', instance.method\)"):
        handlers.register("it", unbound)


@pytest.mark.parametrize("name", ["", None, 3, b"scan", ("scan",)], ids=repr)
def test_names_that_are_none_are_refused(name: Any) -> None:
    """A job type is named by text that is not empty."""
    with pytest.raises(TypeError, match="text that is not empty"):
        JobHandlers().register(name, no_parameters_but_the_context)
