"""What can never be part of a payload, seen when a handler is registered.

- Pydantic says of an annotation how its values are read from JSON, as a tree of schemas. A
  few kinds of them read nothing from JSON; where one of these is needed, every submission
  would be refused.
- What may be left out, or be something else, or is read by a validator of the user's own, is
  not needed. So ``Callable | str`` is fine, and ``list[Callable]`` is not.
- Objects of web frameworks are known by the names of their classes: none of these frameworks
  has to be installed.
"""

from __future__ import annotations

import io
import typing
from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator
from typing import Any

from pydantic.fields import FieldInfo

_FILE = "save the file and submit its path"
_ITERATOR = "it could be read only once; annotate a list or a Sequence"
_DEPENDS = "Depends is for requests; a handler opens what it needs itself"
_ALIAS = (
    "it has an alias, and a payload names the parameters; rename the parameter, or put the alias on"
    " a field of a model"
)
_REQUEST = "a request is over before its job runs; submit what the job needs of it"
_FUNCTION = "submit a name, and let the handler choose the function by it"
_CLASS = "submit a name, and let the handler choose the class by it"
_OBJECT = (
    "a handler opens what it needs itself; submit plain data for that, such as an id, a path, a"
    " URL or a pydantic model"
)

_FRAMEWORKS = frozenset(
    {"aiohttp", "blacksheep", "django", "fastapi", "flask", "litestar", "quart", "robyn"}
    | {"sanic", "starlette", "werkzeug"}
)
_UPLOADS = frozenset({"File", "FileField", "FileStorage", "UploadFile", "UploadedFile"})
_OF_A_REQUEST = frozenset(
    {"ASGIConnection", "BackgroundTask", "BaseRequest", "HTTPConnection", "HttpRequest"}
    | {"HttpResponseBase", "Request", "Response", "StreamResponse", "WebSocket"}
)

# Which read nothing from JSON.
_STUCK = {
    "callable": _FUNCTION,
    "generator": _ITERATOR,
    "is-instance": _OBJECT,
    "is-subclass": _CLASS,
}
# Which read what the schema under this key reads.
_INNER = {
    "chain": "steps",
    "custom-error": "schema",
    "dataclass": "schema",
    "default": "schema",
    "deque": "items_schema",
    "frozenset": "items_schema",
    "function-after": "schema",
    "json": "schema",
    "json-or-python": "json_schema",
    "lax-or-strict": "lax_schema",
    "list": "items_schema",
    "model": "schema",
    "set": "items_schema",
}
_WRITTEN_BY_FIELD = frozenset({"dataclass", "model", "typed-dict"})
_LEFT_OUT = ("serialization_exclude", "serialization_exclude_if", "init_only")

Schema = dict[str, Any]


def refuse_stuck(schema: Schema) -> None:
    """Nothing for a core schema of values that can be read from JSON.

    Raises:
        TypeError: there are none; says what to do.
    """
    if remedy := _Walk(schema).remedy():
        raise TypeError(remedy)


def remedy_for(annotation: Any) -> str:
    """What to do about *annotation*, which has no JSON."""
    for part in _parts(annotation):
        if isinstance(part, type) and (remedy := _remedy_for_class(part)) != _OBJECT:
            return remedy
    return _OBJECT


def refuse_dependency(annotation: Any, default: Any) -> None:
    """Nothing for a parameter that no dependency is put into.

    Raises:
        TypeError: one is; says what to do.
    """
    for part in (default, *_parts(annotation)):
        if any(base.__name__ == "Depends" for base in type(part).__mro__):
            raise TypeError(_DEPENDS)


def refuse_alias(annotation: Any) -> None:
    """Nothing for a parameter that is given by its own name.

    Raises:
        TypeError: it has an alias; says what to do.
    """
    marks = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Annotated else ()
    if any(isinstance(mark, FieldInfo) and mark.validation_alias is not None for mark in marks):
        raise TypeError(_ALIAS)


def _parts(annotation: Any) -> Iterable[Any]:
    """*annotation* and what it is made of, what stands in Annotated too."""
    parts = [annotation]
    for part in parts:  # which grows
        more = [*typing.get_args(part), typing.get_origin(part)]
        if type(part).__name__ == "TypeAliasType":  # of typing, or of typing_extensions
            more.append(part.__value__)
        parts += [each for each in more if not any(each is known for known in parts)]
    return parts


def _remedy_for_class(kind: type) -> str:
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in _FRAMEWORKS:
            if base.__name__ in _UPLOADS:
                return _FILE
            if base.__name__ in _OF_A_REQUEST:
                return _REQUEST
    if issubclass(kind, (io.IOBase, typing.IO)):
        return _FILE
    if issubclass(kind, (Iterator, AsyncIterable, Awaitable)):
        return _ITERATOR
    return _CLASS if kind is type else _OBJECT


class _Walk:
    """A look through one core schema, each definition once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._definitions: dict[str, Schema] = {}
        self._seen: dict[str, str | None] = {}

    def remedy(self) -> str | None:
        """What to do if no value can be read; None if one may be."""
        return self._of(self._schema)

    def _of(self, schema: Any) -> str | None:
        kind = schema["type"]
        if kind in _STUCK:
            return self._stuck(schema)
        if kind in _WRITTEN_BY_FIELD and "serialization" in schema:
            return None  # which may leave out what cannot be read
        if kind in _INNER:
            inner = schema.get(_INNER[kind])
            return self._of(inner[0] if kind == "chain" else inner) if inner else None
        look = getattr(self, "_of_" + kind.replace("-", "_"), None)
        return None if look is None else look(schema)

    def _stuck(self, schema: Any) -> str:
        cls = schema.get("cls")
        if schema["type"] == "is-instance" and isinstance(cls, type):
            return _remedy_for_class(cls)
        return _STUCK[schema["type"]]

    def _first(self, schemas: Iterable[Any]) -> str | None:
        return next(filter(None, map(self._of, schemas)), None)

    def _of_definitions(self, schema: Any) -> str | None:
        self._definitions |= {each["ref"]: each for each in schema["definitions"]}
        return self._of(schema["schema"])

    def _of_definition_ref(self, schema: Any) -> str | None:
        name = schema["schema_ref"]
        if name not in self._seen:
            self._seen[name] = None  # for those that refer to themselves
            self._seen[name] = self._of(self._definitions[name])
        return self._seen[name]

    def _of_function_plain(self, schema: Any) -> str | None:
        """A validator of its own may read anything, but for those of uploads."""
        kind = getattr(schema["function"]["function"], "__self__", None)
        remedy = _remedy_for_class(kind) if isinstance(kind, type) else None
        return remedy if remedy == _FILE else None

    def _of_nullable(self, schema: Any) -> str | None:
        """None can be read, but nobody means that by an upload."""
        remedy = self._of(schema["schema"])
        return remedy if remedy == _FILE else None

    def _of_union(self, schema: Any) -> str | None:
        choices = [each[0] if isinstance(each, tuple) else each for each in schema["choices"]]
        remedies = list(map(self._of, choices))
        return remedies[0] if all(remedies) else None

    def _of_tagged_union(self, schema: Any) -> str | None:
        remedies = list(map(self._of, schema["choices"].values()))
        return remedies[0] if all(remedies) else None

    def _of_dict(self, schema: Any) -> str | None:
        parts = (schema.get("keys_schema"), schema.get("values_schema"))
        return self._first(filter(None, parts))

    def _of_tuple(self, schema: Any) -> str | None:
        return self._first(schema["items_schema"])

    def _of_model_fields(self, schema: Any) -> str | None:
        return self._of_fields(schema["fields"].values())

    def _of_typed_dict(self, schema: Any) -> str | None:
        return self._of_fields(
            field for field in schema["fields"].values() if field.get("required", True)
        )

    def _of_dataclass_args(self, schema: Any) -> str | None:
        return self._of_fields(schema["fields"])

    def _of_named_tuple(self, schema: Any) -> str | None:
        return self._of_fields(schema["fields"])

    def _of_fields(self, fields: Iterable[Any]) -> str | None:
        needed = (each for each in fields if not any(each.get(key) for key in _LEFT_OUT))
        return self._first(field["schema"] for field in needed)

    def _of_call(self, schema: Any) -> str | None:
        """A named tuple, before pydantic 2.14."""
        return self._of_fields(schema["arguments_schema"].get("arguments_schema", ()))
