"""The header ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header).

Its value is a string of RFC 9651, in quotes. Many clients leave out the quotes, so that is allowed
too, for values without spaces and separators.

The key of the job begins with the header's name, which no ``key`` of a body may begin with:
otherwise a client that sends both kinds could meet a job of the other kind. Where clients have jobs
of their own, the key says whose it is: two of them may choose the same.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from pydantic_core import to_json
from starlette.requests import Request

from stoat_jobs.backends import JobFilter

from ._problems import ProblemError, invalid_request

NAME = "Idempotency-Key"
LONGEST = 255

_QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\])+"'
_BARE = r"[!#-+\--:<-\[\]-~]+"
PATTERN = f"^(?:{_QUOTED}|{_BARE})$"
_VALUE = re.compile(f"{_QUOTED}|{_BARE}")


def idempotency_key(request: Request, own: JobFilter) -> str | None:
    """The key for the job that *request* submits, one of *own*; None without the header.

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
    text = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
    return f"{NAME}{_of(own)}: {text}"


def _of(own: JobFilter) -> str:
    """Whose key it is; empty if clients have no jobs of their own."""
    if own.is_open:
        return ""
    items = to_json(sorted(own.metadata or (), key=lambda item: item[0]))
    return f" of {blake2b(items, digest_size=8).hexdigest()}"


def both_given() -> ProblemError:
    """The body has a key as well."""
    return _invalid("the body has a `key` as well; send one of the two", "two_keys")


def _invalid(msg: str, kind: str = "idempotency_key") -> ProblemError:
    return invalid_request([{"type": kind, "loc": ("header", NAME), "msg": msg}])
