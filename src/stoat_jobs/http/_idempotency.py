"""The header ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header).

Its value is a string of RFC 9651, in quotes. Many clients leave out the quotes, so that is allowed
too, for values without spaces and separators.

The key of the job has a prefix, which no ``key`` of a body may begin with: otherwise a client that
sends both kinds could meet a job of the other kind.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from ._problems import ProblemError, invalid_request

NAME = "Idempotency-Key"
PREFIX = f"{NAME}: "
LONGEST = 255

_QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\])+"'
_BARE = r"[!#-+\--:<-\[\]-~]+"
PATTERN = f"^(?:{_QUOTED}|{_BARE})$"
_VALUE = re.compile(f"{_QUOTED}|{_BARE}")


def idempotency_key(request: Request) -> str | None:
    """The key for the job that *request* submits; None without the header.

    Raises:
        ProblemError: the header is not one valid value.
    """
    values = request.headers.getlist(NAME)
    if not values:
        return None
    value = values[0].strip()
    if len(values) > 1:
        raise _invalid("given more than once")
    if len(value) > LONGEST or not _VALUE.fullmatch(value):
        raise _invalid(f"must be a quoted string that is not empty, of {LONGEST} characters")
    return PREFIX + (re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value)


def both_given() -> ProblemError:
    """The body has a key as well."""
    return _invalid("the body has a `key` as well; send one of the two", "two_keys")


def _invalid(msg: str, kind: str = "idempotency_key") -> ProblemError:
    return invalid_request([{"type": kind, "loc": ("header", NAME), "msg": msg}])
