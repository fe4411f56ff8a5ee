"""Refuse parameters that no payload can ever fill, when the handler is registered.

- For each annotation pydantic builds a tree of schemas, which says how values are read from
  JSON. A few kinds of schemas read nothing from JSON. If such a value is required, every
  submission would be refused.
- A value is not required if it has a default, if a union offers another type, or if the
  user's own validator reads it. So ``Callable | str`` is accepted, ``list[Callable]`` is not.
- Objects of web frameworks are recognised by the names of their classes, so none of these
  frameworks has to be installed.
"""

from __future__ import annotations

import io
import typing
from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator
from typing import Any

from pydantic.fields import FieldInfo

_FILE = "save the file and submit its path"
_ITERATOR = "it could be read only once; annotate a list or a Sequence"
_DEPENDS = "Depends works in requests only; open what the handler needs inside the handler"
_ALIAS = (
    "it has an alias, but a payload uses the names of parameters; rename the parameter, or put the"
    " alias on a field of a model"
)
_REQUEST = "the request is over before its job runs; submit the data that the job needs from it"
_FUNCTION = "submit a name, and let the handler look up the function"
_CLASS = "submit a name, and let the handler look up the class"
_OBJECT = (
    "open it inside the handler; submit plain data for that, such as an id, a path, a URL or a"
    " pydantic model"
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

# Kinds of schemas that read nothing from JSON, with the remedy.
_UNSUPPORTED = {
    "callable": _FUNCTION,
    "generator": _ITERATOR,
    "is-instance": _OBJECT,
    "is-subclass": _CLASS,
}
# Kinds of schemas that read what an inner schema reads, with the key of that inner schema.
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


def refuse_unsupported(schema: Schema) -> None:
    """Refuse a core schema if none of its values can be read from JSON.

    Raises:
        TypeError: the message says what to do instead.
    """
    if remedy := _Walk(schema).remedy():
        raise TypeError(remedy)


def remedy_for(annotation: Any) -> str:
    """What to do about *annotation*, which JSON cannot represent."""
    for part in _parts(annotation):
        if isinstance(part, type) and (remedy := _remedy_for_class(part)) != _OBJECT:
            return remedy
    return _OBJECT


def refuse_dependency(annotation: Any, default: Any) -> None:
    """Refuse a parameter that a web framework fills by ``Depends``.

    Raises:
        TypeError: the message says what to do instead.
    """
    for part in (default, *_parts(annotation)):
        if any(base.__name__ == "Depends" for base in type(part).__mro__):
            raise TypeError(_DEPENDS)


def refuse_alias(annotation: Any) -> None:
    """Refuse a parameter that has an alias.

    Raises:
        TypeError: the message says what to do instead.
    """
    extras = (
        typing.get_args(annotation) if typing.get_origin(annotation) is typing.Annotated else ()
    )
    if any(isinstance(each, FieldInfo) and each.validation_alias is not None for each in extras):
        raise TypeError(_ALIAS)


def _parts(annotation: Any) -> Iterable[Any]:
    """*annotation* and all its parts, including the metadata in Annotated."""
    parts = [annotation]
    for part in parts:  # the list grows while it is read
        more = [*typing.get_args(part), typing.get_origin(part)]
        if type(part).__name__ == "TypeAliasType":  # from typing or typing_extensions
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
    """A search through one core schema that visits each definition once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._definitions: dict[str, Schema] = {}
        self._seen: dict[str, str | None] = {}

    def remedy(self) -> str | None:
        """What to do instead if no value can be read; None if some value may be."""
        return self._of(self._schema)

    def _of(self, schema: Any) -> str | None:
        kind = schema["type"]
        if kind in _UNSUPPORTED:
            return self._unsupported(schema)
        if kind in _WRITTEN_BY_FIELD and "serialization" in schema:
            return None  # its serializer may leave out what cannot be read
        if kind in _INNER:
            inner = schema.get(_INNER[kind])
            return self._of(inner[0] if kind == "chain" else inner) if inner else None
        visit = getattr(self, "_of_" + kind.replace("-", "_"), None)
        return None if visit is None else visit(schema)

    def _unsupported(self, schema: Any) -> str:
        cls = schema.get("cls")
        if schema["type"] == "is-instance" and isinstance(cls, type):
            return _remedy_for_class(cls)
        return _UNSUPPORTED[schema["type"]]

    def _first(self, schemas: Iterable[Any]) -> str | None:
        return next(filter(None, map(self._of, schemas)), None)

    def _of_definitions(self, schema: Any) -> str | None:
        self._definitions |= {each["ref"]: each for each in schema["definitions"]}
        return self._of(schema["schema"])

    def _of_definition_ref(self, schema: Any) -> str | None:
        name = schema["schema_ref"]
        if name not in self._seen:
            self._seen[name] = None  # for definitions that refer to themselves
            self._seen[name] = self._of(self._definitions[name])
        return self._seen[name]

    def _of_function_plain(self, schema: Any) -> str | None:
        """A type's own validator may read anything, except for the validators of uploads."""
        kind = getattr(schema["function"]["function"], "__self__", None)
        remedy = _remedy_for_class(kind) if isinstance(kind, type) else None
        return remedy if remedy == _FILE else None

    def _of_nullable(self, schema: Any) -> str | None:
        """None can be read, but an optional upload is still meant to be an upload."""
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
        required = (each for each in fields if not any(each.get(key) for key in _LEFT_OUT))
        return self._first(field["schema"] for field in required)

    def _of_call(self, schema: Any) -> str | None:
        """A named tuple's schema before pydantic 2.14."""
        return self._of_fields(schema["arguments_schema"].get("arguments_schema", ()))
