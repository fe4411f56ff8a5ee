"""Laws of payloads: isolated, equal, the same after storage."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from stoat_jobs import InvalidPayloadError, JobContext, JobHandlers
from stoat_jobs._payload.codec import same

handlers = JobHandlers()


class Leaf(BaseModel):
    names: list[str]


class Branch(BaseModel):
    leaves: list[Leaf]
    table: dict[str, Any]


@handlers.job
def opened(ctx: JobContext, /, **payload: Any) -> None: ...


@handlers.job
def nested(ctx: JobContext, branch: Branch, rows: list[dict[str, list[int]]]) -> None: ...


@handlers.job
def loose(ctx: JobContext, value: dict[str, Any]) -> None: ...


# However busy the machine is.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ODD_SCALARS = (
    SCALARS
    | st.floats()
    | st.binary()
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.text(st.characters(codec=None, exclude_categories=()))
)
ODD_VALUES = st.recursive(
    ODD_SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.frozensets(ODD_SCALARS)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
    ),
    max_leaves=20,
)


def shared_parts(left: Any, right: Any) -> bool:
    """Whether a change inside *left* would be seen in *right*."""
    if isinstance(left, dict):
        return left is right or any(shared_parts(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return left is right or any(map(shared_parts, left, right))
    return False


@pytest.mark.slow
@patient
@given(st.dictionaries(st.text(), JSON_VALUES))
def test_json_arrives_equal_and_isolated(payload: dict[str, Any]) -> None:
    """Any JSON that is submitted arrives equal, shares nothing, and is the same when thawed."""
    before = copy.deepcopy(payload)
    for job_type, given_ in ((opened, payload), (loose, {"value": payload})):
        frozen = job_type.form.freeze(given_)
        assert same(frozen.arguments, given_)
        assert not shared_parts(frozen.arguments, given_)
        assert same(job_type.form.thaw(frozen.text), frozen.arguments)
    assert same(payload, before)


@pytest.mark.slow
@patient
@given(st.dictionaries(st.text(), ODD_VALUES))
def test_anything_else_arrives_equal_or_is_refused(value: dict[str, Any]) -> None:
    """Whatever is submitted in `Any` arrives equal and isolated, or is refused by name."""
    try:
        frozen = loose.form.freeze({"value": value})
    except InvalidPayloadError as error:
        assert [each["loc"][0] for each in error.errors] == ["value"]
    else:
        assert same(frozen.arguments, {"value": value})
        assert not shared_parts(frozen.arguments["value"], value)
        assert same(loose.form.thaw(frozen.text), frozen.arguments)


@pytest.mark.slow
@patient
@given(st.dictionaries(st.text(), JSON_VALUES, min_size=1))
def test_freezing_is_stable(payload: dict[str, Any]) -> None:
    """What was frozen and thawed freezes to the same text, so that redelivery changes nothing."""
    text = opened.form.freeze(payload).text
    assert opened.form.freeze(opened.form.thaw(text)).text == text


def test_changes_of_the_caller_are_not_seen() -> None:
    """The caller may change what it submitted, at every depth, models included."""
    leaf = Leaf(names=["a"])
    branch = Branch(leaves=[leaf], table={"a": {"b": [1]}})
    rows = [{"x": [1, 2]}]
    frozen = nested.form.freeze({"branch": branch, "rows": rows})
    leaf.names.append("changed")
    branch.table["a"]["b"].append(2)
    rows[0]["x"].clear()
    rows.append({})
    assert frozen.arguments == {
        "branch": Branch(leaves=[Leaf(names=["a"])], table={"a": {"b": [1]}}),
        "rows": [{"x": [1, 2]}],
    }


def test_changes_of_the_handler_are_not_seen() -> None:
    """Two jobs, and two attempts that thaw, share nothing of a payload."""
    branch = Branch(leaves=[], table={"a": [1]})
    frozen = nested.form.freeze({"branch": branch, "rows": []})
    frozen.arguments["branch"].table["a"].append("changed")
    frozen.arguments["rows"].append("changed")
    assert branch.table == {"a": [1]}
    assert nested.form.thaw(frozen.text) == {"branch": branch, "rows": []}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        ([1], (1,)),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1], [1, 2]),
        (Leaf(names=["a"]), Leaf(names=["b"])),
        (Leaf(names=["a"]), {"names": ["a"]}),
        (float("nan"), float("nan")),
    ],
    ids=repr,
)
def test_same_tells_look_alikes_apart(left: Any, right: Any) -> None:
    """Equality alone is not enough: the types must be the same at every depth."""
    assert not same(left, right)
    assert not same(right, left)
    assert not same([left], [right])
    assert not same({"a": left}, {"a": right})
