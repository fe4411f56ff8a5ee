"""The metadata of a job: what is accepted, how it is copied, and what an error says."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, UserDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoat_jobs import JobStatus
from stoat_jobs.backends import checked_metadata

LIMIT = 65_536

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


@given(st.dictionaries(texts, json_values))
def test_any_json_object_comes_back_as_it_was(metadata: dict[str, Any]) -> None:
    """What is kept is equal, of the plain types of JSON, and at most as large as it is said."""
    kept = checked_metadata(metadata, LIMIT)
    assert dict(kept) == metadata
    assert json.loads(json.dumps(dict(kept))) == metadata
    assert len(kept) == len(metadata)
    assert list(kept) == list(metadata)
    assert repr(dict(kept)) == repr(metadata)


@given(st.dictionaries(texts, json_values))
def test_the_limit_is_exact(metadata: dict[str, Any]) -> None:
    """As many bytes as the compact JSON has are enough, and one less is not."""
    text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    size = len(checked_size(metadata, text))
    checked_metadata(metadata, size)
    if metadata:
        with pytest.raises(ValueError, match=rf"max_metadata_bytes \({size - 1}\)"):
            checked_metadata(metadata, size - 1)


def checked_size(metadata: dict[str, Any], text: str) -> bytes:
    """The compact JSON as the records have it, in which floats may be written otherwise."""
    from pydantic_core import to_json

    assert json.loads(to_json(metadata)) == json.loads(text)
    return to_json(metadata)


class Colour(enum.IntEnum):
    RED = 1


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "forged"


class Half(float):
    pass


class Many(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("a list of its own kind")


def test_what_is_kept_has_the_plain_types_of_json() -> None:
    """Of an enum, a subclass or another mapping only the plain value is kept."""
    given: dict[str, Any] = {
        Shout("name"): Shout("text"),
        "status": JobStatus.FAILED,
        "colour": Colour.RED,
        "half": Half(0.5),
        "many": Many([1]),
        "map": UserDict(a=OrderedDict(b=MappingProxyType({"c": True}))),
    }
    kept = dict(checked_metadata(given, LIMIT))
    assert kept == {
        "name": "text",
        "status": "failed",
        "colour": 1,
        "half": 0.5,
        "many": [1],
        "map": {"a": {"b": {"c": True}}},
    }
    assert [type(name) for name in kept] == [str] * 6
    assert [type(kept[name]) for name in kept] == [str, str, int, float, list, dict]
    assert type(kept["map"]["a"]["b"]) is dict


def test_nothing_is_shared() -> None:
    """Neither what was given nor what is read leads to what is kept."""
    given: dict[str, Any] = {"a": {"b": [1]}, "c": 1}
    kept = checked_metadata(given, LIMIT)
    given["a"]["b"].append(2)
    kept["a"]["b"].append(3)
    next(iter(kept.values()))["b"].append(4)
    assert dict(kept) == {"a": {"b": [1]}, "c": 1}
    assert ("a" in kept, "b" in kept) == (True, False)
    assert not hasattr(kept, "__setitem__")


def test_flat_metadata_is_a_plain_read_only_mapping() -> None:
    """The common case has nothing to copy at each reading."""
    flat = {"user": "ada", "n": 1}
    kept = checked_metadata(flat, LIMIT)
    assert (type(kept), kept) == (MappingProxyType, flat)
    flat["user"] = "eve"
    assert kept["user"] == "ada"
    assert checked_metadata({}, LIMIT) is checked_metadata(None, LIMIT)


class Unreadable(Mapping[str, Any]):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getitem__(self, name: str) -> Any:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        return 1


class Liar:
    """Says that it is a mapping, or text."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self.kind


class Raiser:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("not your business")


def cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def bomb() -> list[Any]:
    """Few objects, and 2**60 leaves."""
    value: list[Any] = ["x"]
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (b"secret", TypeError, r"metadata\['a'\] is of type bytes, which JSON lacks; give text"),
        (("secret",), TypeError, r"metadata\['a'\] is of type tuple.*; give a list"),
        ([{"b": {"secret"}}], TypeError, r"metadata\['a'\]\[0\]\['b'\] is of type set"),
        (Liar(str), TypeError, r"metadata\['a'\] is of type Liar"),
        (Liar(dict), TypeError, r"metadata\['a'\] is of type Liar"),
        (type, TypeError, r"metadata\['a'\] is of type type"),
        (Unreadable(RuntimeError()), TypeError, r"metadata\['a'\] cannot be read"),
        ({2: "secret"}, TypeError, r"the names in metadata\['a'\] must be text, not 2"),
        ([float("nan")], ValueError, r"metadata\['a'\]\[0\] is NaN or infinite"),
        (Half("-inf"), ValueError, r"metadata\['a'\] is NaN or infinite"),
        ("secret\udcff", ValueError, r"metadata\['a'\] is not valid Unicode"),
        (-(10**4500), ValueError, r"metadata\['a'\] is a number of too many digits"),
        (cycle(), ValueError, r"metadata\['a'\] is nested more than 64 levels deep"),
        (bomb(), ValueError, r"metadata must not exceed max_metadata_bytes \(65536\)"),
        ([None] * 10_000_000, ValueError, r"metadata must not exceed max_metadata_bytes"),
        ("secret" * 10_000_000, ValueError, r"metadata must not exceed max_metadata_bytes"),
    ],
    ids=range(16),
)
def test_what_has_no_json_is_named_and_not_shown(
    value: Any, error: type[Exception], text: str
) -> None:
    """An error says which item is wrong, and why, in a short line without its value."""
    with pytest.raises(error, match=text) as caught:
        checked_metadata({"ok": 1, "a": value}, LIMIT)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "metadata",
    ["text", 3, [("a", "b")], Liar(dict), Unreadable(KeyError("x")), {("a",): 1}],
    ids=range(6),
)
def test_what_is_no_mapping_of_text_is_a_type_error(metadata: Any) -> None:
    """Whatever it says of itself, metadata that cannot be read as names and values is refused."""
    with pytest.raises(TypeError, match="metadata"):
        checked_metadata(metadata, LIMIT)


def test_a_value_is_not_asked_what_it_is() -> None:
    """Its ``__class__`` may raise anything."""
    with pytest.raises(TypeError, match=r"metadata\['a'\] is of type Raiser"):
        checked_metadata({"a": Raiser()}, LIMIT)
    with pytest.raises(TypeError, match="not be of type Raiser"):
        checked_metadata(Raiser(), LIMIT)  # type: ignore[arg-type]


def test_64_levels_are_accepted() -> None:
    """The metadata itself is the first level, as of a payload."""
    value: Any = 1
    for _ in range(63):
        value = [value]
    assert checked_metadata({"a": value}, LIMIT)["a"] == value
    with pytest.raises(ValueError, match="64 levels"):
        checked_metadata({"a": [value]}, LIMIT)


def test_an_error_names_a_place_in_one_short_line() -> None:
    """However long and odd the names are."""
    with pytest.raises(TypeError) as caught:
        checked_metadata({"line\n" * 1000: {"x" * 1000: b""}}, LIMIT)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
