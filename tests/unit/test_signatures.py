"""Functions that serve as handlers; annotations here are text, as the import above makes them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers

if TYPE_CHECKING:
    from decimal import Decimal as Hidden

    from stoat_jobs import JobContext as HiddenContext


class Options(BaseModel):
    depth: int = 1


class OwnContext(JobContext):
    __slots__ = ()


async def result_of(function: Callable[..., Any], payload: dict[str, Any]) -> Any:
    """What *function* returns as a handler."""
    handlers = JobHandlers()
    handlers.register("it", function)
    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("it", payload))
    assert record.error is None
    return record.result


async def test_text_annotations_are_resolved() -> None:
    """Annotations that are text are resolved in the function's own module."""

    def handler(ctx: JobContext, path: Path, options: Options | None = None) -> str:
        return f"{path.name} {options.depth if options else None}"

    assert await result_of(handler, {"path": "a/b", "options": {"depth": 3}}) == "b 3"


async def test_a_type_of_the_enclosing_function_is_found() -> None:
    """A closure may annotate with what its function refers to."""

    class Local(BaseModel):
        n: int

    def handler(ctx: JobContext, it: Local) -> int:
        return Local.model_validate(it).n

    assert await result_of(handler, {"it": {"n": 3}}) == 3


async def test_context_and_return_may_be_hidden() -> None:
    """The context's and the return's annotations need not exist at run time."""

    def handler(ctx: HiddenContext, n: int) -> Hidden:
        return n  # type: ignore[return-value]

    assert await result_of(handler, {"n": 3}) == 3


async def test_an_unannotated_handler_takes_any_json() -> None:
    """Without annotations, payload values are any JSON."""

    def handler(ctx, a, b=2):  # type: ignore[no-untyped-def]
        return [a, b]

    assert await result_of(handler, {"a": {"x": [1]}}) == [{"x": [1]}, 2]


@pytest.mark.parametrize("annotation", [JobContext, Any, OwnContext])
async def test_annotations_of_the_context_that_serve(annotation: Any) -> None:
    """The context may be annotated as itself, as a subclass, as Any or not at all."""

    def handler(ctx: Any, n: int) -> int:
        return n

    handler.__annotations__["ctx"] = annotation
    assert await result_of(handler, {"n": 3}) == 3


async def test_a_bound_method_serves() -> None:
    """A bound method is a handler; its context comes after self."""

    class Scanner:
        def __init__(self, root: str) -> None:
            self.root = root

        def scan(self, ctx: JobContext, name: str) -> str:
            return f"{self.root}/{name}/{ctx.job_type}"

        @classmethod
        def of_class(cls, ctx: JobContext, name: str) -> str:
            return f"{cls.__name__} {name}"

        @staticmethod
        def static(ctx: JobContext, name: str) -> str:
            return name

    scanner = Scanner("root")
    assert await result_of(scanner.scan, {"name": "a"}) == "root/a/it"
    assert await result_of(scanner.of_class, {"name": "a"}) == "Scanner a"
    assert await result_of(scanner.static, {"name": "a"}) == "a"


async def test_a_partial_serves() -> None:
    """Arguments that a partial fixed by name are defaults of the payload."""

    def handler(ctx: JobContext, a: int, b: int = 0, *, c: int = 0) -> list[int]:
        return [a, b, c]

    part = functools.partial(functools.partial(handler, c=3), b=2)
    assert await result_of(part, {"a": "1"}) == [1, 2, 3]
    assert await result_of(part, {"a": 1, "b": 5}) == [1, 5, 3]


class Adder:
    def __call__(self, ctx: JobContext, a: int, b: int = 1) -> int:
        return a + b


class AsyncAdder:
    async def __call__(self, ctx: JobContext, a: int, b: int = 1) -> int:
        return a + b


ADDERS: dict[str, Any] = {
    "object": Adder(),
    "async object": AsyncAdder(),
    "partial of an object": functools.partial(Adder(), b=1),
    "partial of an async object": functools.partial(AsyncAdder(), b=1),
    "partial of an async method": functools.partial(AsyncAdder().__call__, b=1),
    "bound call": Adder().__call__,
}


@pytest.mark.parametrize("case", ADDERS)
async def test_callable_objects_serve(case: str) -> None:
    """An object that can be called is a handler, async if its call is."""
    assert await result_of(ADDERS[case], {"a": "2"}) == 3


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """As decorators usually are."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) + "!"

    return wrapper


async def test_a_decorated_function_serves() -> None:
    """A decorated function has the signature of what it wraps, and is called as decorated."""

    @logged
    @logged
    def handler(ctx: JobContext, path: Path) -> str:
        return path.name

    assert await result_of(handler, {"path": "a/b"}) == "b!!"


@contextlib.contextmanager
def span() -> Iterator[None]:
    yield


async def test_a_function_decorated_elsewhere_serves() -> None:
    """Annotations are resolved where the function stands, not where its decorator does."""

    @span()
    def handler(ctx: JobContext, path: Path) -> str:
        return path.name

    assert await result_of(handler, {"path": "a/b"}) == "b"


async def test_a_positional_only_context_serves() -> None:
    """The context is given by position, so it may be positional-only."""

    def handler(ctx: JobContext, /, n: int) -> int:
        return n

    assert await result_of(handler, {"n": 1}) == 1
