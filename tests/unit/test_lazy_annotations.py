"""Annotations as a module without ``from __future__ import annotations`` has them.

Since Python 3.14 those are evaluated when somebody asks, so names that only type checkers
know are no error before that; until then such names are written as text.
"""

from __future__ import annotations

import importlib.util
import sys
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stoat_jobs import InMemoryJobQueue, JobHandlers

QUOTE = "" if sys.version_info >= (3, 14) else '"'
NUMBERS = count()

HEAD = """
import functools
from typing import TYPE_CHECKING, Annotated, List, Optional

from pydantic import BaseModel

from stoat_jobs import JobHandlers

if TYPE_CHECKING:
    from decimal import Decimal

    from pydantic import Field

    from stoat_jobs import JobContext

handlers = JobHandlers()
"""


def module(tmp_path: Path, body: str, quote: str = QUOTE) -> ModuleType:
    """A module of its own; text between two ``~`` is quoted where annotations are not lazy."""
    path = tmp_path / f"lazy_{next(NUMBERS)}.py"
    path.write_text(HEAD + body.replace("~", quote), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


async def result_of(handlers: JobHandlers, job_type: str, payload: dict[str, Any]) -> Any:
    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit(job_type, payload))
    assert record.error is None
    return record.result


SERVE = {
    "context": "def it(ctx: ~JobContext~, n: int) -> int: return n",
    "context, optional": "def it(ctx: ~JobContext | None~, n: int) -> int: return n",
    "context, annotated": "def it(ctx: ~Annotated[JobContext, 'x']~, n: int) -> int: return n",
    "return": "def it(ctx, n: int) -> ~Decimal~: return n",
    "return, inside": "def it(ctx, n: int) -> ~dict[str, Decimal]~: return n",
    "all but the payload": "def it(ctx: ~JobContext~, n: int) -> ~Decimal | None~: return n",
    "async": "async def it(ctx: ~JobContext~, n: int) -> ~Decimal~: return n",
}


@pytest.mark.parametrize("case", SERVE)
async def test_names_for_type_checkers_alone_serve_for_context_and_return__fault_65(
    case: str, tmp_path: Path
) -> None:
    """The context's and the return's annotations need not exist at run time, lazy or not."""
    body = f"{SERVE[case]}\nhandlers.register('it', it)\n"
    assert await result_of(module(tmp_path, body).handlers, "it", {"n": 3}) == 3


async def test_a_decorated_function_has_lazy_annotations_too__fault_65(tmp_path: Path) -> None:
    """What a decorator copies of a function is read as the function's own is."""
    body = """
def plain(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs): return function(*args, **kwargs)
    return wrapper

@handlers.job
@plain
async def it(ctx: ~JobContext~, n: int, m: int = 1) -> ~Decimal~: return n + m

class Adder:
    def __call__(self, ctx: ~JobContext~, n: int) -> ~Decimal~: return n
    def method(self, ctx: ~JobContext~, n: int) -> ~Decimal~: return n

handlers.register("object", Adder())
handlers.register("method", Adder().method)
handlers.register("partial", functools.partial(Adder().method, n=2))
"""
    handlers = module(tmp_path, body).handlers
    assert await result_of(handlers, "it", {"n": "3"}) == 4
    assert await result_of(handlers, "object", {"n": "3"}) == 3
    assert await result_of(handlers, "method", {"n": "3"}) == 3
    assert await result_of(handlers, "partial", {}) == 2


async def test_a_type_of_the_enclosing_function_is_found_where_it_is_lazy__fault_65(
    tmp_path: Path,
) -> None:
    """A handler in a function may be annotated with that function's types, inside others too."""
    body = """
def main():
    class Local(BaseModel):
        n: int
    def it(ctx: ~JobContext~, one: Local, many: list[Local]) -> int:
        return one.n + len(many)
    handlers.register("it", it)
main()
"""
    payload = {"one": {"n": 1}, "many": [{"n": 2}]}
    assert await result_of(module(tmp_path, body).handlers, "it", payload) == 2


REFUSED = {
    "plain": "price: ~Decimal~",
    "inside": "price: ~list[Decimal]~",
    "deep": "price: ~dict[str, list[Decimal]]~",
    "optional": "price: ~Decimal | None~ = None",
    "typing": "price: ~Optional[Decimal]~ = None",
    "annotated": "price: ~Annotated[Decimal, 5]~",
    "open": "**price: ~Decimal~",
    "text inside": "price: List['Decimal']",
    "metadata": "price: ~Annotated[int, Field(gt=3)]~",
    "metadata inside": "price: ~list[Annotated[int, Field(gt=3)]]~",
    "attribute": "price: ~Decimal.Thing~",
    "later": "price: ~Later~",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_payloads_name_for_type_checkers_alone_is_refused__fault_65(
    case: str, tmp_path: Path
) -> None:
    """A payload's annotation has to exist at run time, and the error says so in plain words."""
    body = f"def it(ctx, {REFUSED[case]}) -> int: return 1\nclass Later: pass\n"
    body = body if case != "later" else body.replace("class Later: pass", "")
    it = module(tmp_path, body).it
    handlers = JobHandlers()
    with pytest.raises(TypeError, match="TYPE_CHECKING") as caught:
        handlers.register("it", it)
    text = str(caught.value)
    assert "'price'" in text
    assert "is not defined" in text
    assert "ForwardRef" not in text
    assert " at 0x" not in text
    assert len(handlers) == 0


def test_an_annotation_that_raises_is_refused_by_name__fault_65(tmp_path: Path) -> None:
    """Whatever evaluating an annotation raises, the error names the handler."""
    it = module(tmp_path, "def it(ctx, n: ~1 / 0~) -> int: return 1\n").it
    with pytest.raises(TypeError, match=r"'it'.*division by zero"):
        JobHandlers().register("it", it)


async def test_a_name_that_the_function_has_later_is_no_hindrance__fault_65() -> None:
    """A handler may use what its enclosing function defines after it."""
    handlers = JobHandlers()

    @handlers.job
    def it(ctx: Any, n: int) -> int:
        return helper(n)

    def helper(n: int) -> int:
        return n + 1

    assert await result_of(handlers, "it", {"n": "3"}) == 4
