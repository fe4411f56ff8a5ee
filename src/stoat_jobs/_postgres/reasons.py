"""What errors of the server and of its driver mean: one line that says what to do."""

from __future__ import annotations

import socket
import ssl

import asyncpg

from .._text import describe, one_line

_LIMIT = 500

# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT_CLASSES = ("08", "53", "57P")
_TRANSIENT = {"25006", "40001", "40P01"}
_DATA_CLASSES = ("22", "54")
_TOO_LONG = "invalid memory alloc request"  # as XX000, for a value of a gigabyte
_NOTICES = "async.c"  # the server's source for NOTIFY, whose queue may be full

_CLIENT_DATA_ERRORS = (UnicodeError, OverflowError)
_CUT = (asyncpg.InternalClientError, asyncpg.TargetServerAttributeNotMatched)

_REFUSALS = {"28P01", "28000", "3D000", "42501"}

_REASONS = {
    "28P01": "the server refused the password; check user and password in the url",
    "28000": "the server does not let this user in; check the user in the url, whether it may log"
    " in, and pg_hba.conf, which may demand TLS (sslmode=require)",
    "3D000": "there is no such database; create it, or correct the url",
    "42501": "this user lacks a right",
    "53300": "the server has no connection left; close some, raise max_connections or lower"
    " pool_size",
    "57P03": "the server is starting, stopping, or a standby that takes no connections",
    "25006": "this server is read-only, as a standby is; give the primary's url, or all hosts",
    "55P03": "another transaction held a lock for too long",
    "57014": "the statement took too long",
    "53100": "the server's disk is full",
}

_NO_TLS = "the server has no TLS; check sslmode in the url"
_LOCAL_REASONS: dict[type[BaseException], str] = {  # the first that fits
    socket.gaierror: "there is no such host; check the host in the url",
    ssl.SSLCertVerificationError: "the server's certificate is not trusted; check sslrootcert",
    ssl.SSLError: "TLS failed; check sslmode in the url",
    OSError: "the server cannot be reached; check host and port, and that it runs",
}


def sqlstate_of(error: BaseException) -> str:
    """The server's code of *error*, or an empty text."""
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else ""


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed in a moment.

    Such are a server that restarts, a cut connection, a serialization failure, a deadlock, too
    many connections, a standby, a full queue of notices.
    """
    code = sqlstate_of(error)
    if isinstance(error, asyncpg.exceptions.InvalidCachedStatementError):
        return True  # the tables were upgraded meanwhile
    if _is_of_notices(error):
        return True  # a listener somewhere holds an old transaction open
    if code:
        return code in _TRANSIENT or code.startswith(_TRANSIENT_CLASSES)
    if isinstance(error, asyncpg.InterfaceError) and not isinstance(error, _CUT):
        return "closed" in str(error)
    return isinstance(error, (*_CUT, OSError, EOFError))  # TimeoutError is an OSError


def is_data_error(error: BaseException) -> bool:
    """Whether the server or the driver refuses a value of the statement, and always will."""
    if _is_of_notices(error):
        return False
    return (
        sqlstate_of(error).startswith(_DATA_CLASSES)
        or isinstance(error, _CLIENT_DATA_ERRORS)
        or _TOO_LONG in str(error)
    )


def _is_of_notices(error: BaseException) -> bool:
    """Whether the server cannot send notices; that has the code of a value that is too large."""
    return getattr(error, "server_source_filename", None) == _NOTICES


def is_refusal(error: BaseException) -> bool:
    """Whether the server does not let this user in, or not do this."""
    return sqlstate_of(error) in _REFUSALS


def is_lock_timeout(error: BaseException) -> bool:
    """Whether another transaction held a lock for too long."""
    return sqlstate_of(error) == "55P03"


def is_slot_taken(error: BaseException) -> bool:
    """Whether another worker claimed the slot of a limited job type at the same moment.

    If two take each other's, it is a deadlock.
    """
    return sqlstate_of(error) in ("23505", "40P01")


def is_without_tables(error: BaseException) -> bool:
    """Whether the tables are not there, or their schema is not."""
    return sqlstate_of(error) in ("42P01", "3F000")


def reason_of(error: BaseException) -> str:
    """What *error* means and what to do, in one line without secrets."""
    code, said = sqlstate_of(error), one_line(describe(error), _LIMIT)
    if reason := _REASONS.get(code):
        return f"{reason} ({said})"
    if isinstance(error, TimeoutError):  # its text is asyncio's, or ours
        return str(error) or "the server did not answer in time; check host, port and firewall"
    if isinstance(error, ConnectionError) and "SSL" in said:
        return f"{_NO_TLS} ({said})"
    reasons = (reason for kind, reason in _LOCAL_REASONS.items() if isinstance(error, kind))
    reason = next(reasons, "")
    return f"{reason} ({said})" if reason else said
