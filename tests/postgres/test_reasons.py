"""What the server's and the driver's errors mean, in words that say what to do."""

from __future__ import annotations

import socket
import ssl

import asyncpg
import pytest

from stoat_jobs._postgres.reasons import (
    is_data_error,
    is_lock_timeout,
    is_transient,
    is_without_tables,
    reason_of,
)
from stoat_jobs._postgres.server import ReadOnlyError


def of_the_server(**fields: str) -> asyncpg.PostgresError:
    """An error as the server sends it: by the letters of its fields."""
    return asyncpg.PostgresError.new(fields)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.CrashShutdownError("x"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.IdleSessionTimeoutError("x"),
        asyncpg.TooManyConnectionsError("sorry"),
        asyncpg.SerializationError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.ReadOnlySQLTransactionError("x"),
        asyncpg.ConnectionDoesNotExistError("in the middle of operation"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("unexpected"),
        asyncpg.exceptions.InvalidCachedStatementError("cached plan must not change result type"),
        ReadOnlyError("standby"),
        of_the_server(C="54000", F="async.c", M="too many notifications in the NOTIFY queue"),
        ConnectionResetError(),
        TimeoutError(),
        EOFError(),
    ],
)
def test_what_may_succeed_in_a_moment(error: BaseException) -> None:
    """It is tried again, and is no fault of the data."""
    assert (is_transient(error), is_data_error(error)) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UntranslatableCharacterError("U+0000"),
        asyncpg.CharacterNotInRepertoireError("0x00"),
        asyncpg.DataError("invalid input for query argument $1"),
        asyncpg.ProgramLimitExceededError("index row size"),
        of_the_server(C="54000", F="nbtutils.c", M="index row size 2848 exceeds maximum 2704"),
        asyncpg.InternalServerError("invalid memory alloc request size 1073741824"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        OverflowError("int too big"),
    ],
)
def test_what_never_succeeds_because_of_a_value(error: BaseException) -> None:
    """It is the culprit's fault alone, and trying again is of no use."""
    assert (is_transient(error), is_data_error(error)) == (False, True)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UndefinedTableError("x"),
        asyncpg.UniqueViolationError("x"),
        asyncpg.LockNotAvailableError("x"),
        asyncpg.InterfaceError("another operation is in progress"),
        ValueError("x"),
    ],
)
def test_everything_else_is_neither(error: BaseException) -> None:
    """It is raised to who asked."""
    assert (is_transient(error), is_data_error(error)) == (False, False)


def test_what_is_waited_for_and_what_is_missing() -> None:
    """A lock of somebody else, and tables that nobody created."""
    assert is_lock_timeout(asyncpg.LockNotAvailableError("x"))
    assert is_without_tables(asyncpg.UndefinedTableError("x"))
    assert is_without_tables(asyncpg.InvalidSchemaNameError("x"))
    assert not is_lock_timeout(ValueError())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (asyncpg.InvalidPasswordError("failed"), "the server refused the password; check"),
        (asyncpg.InvalidCatalogNameError("x"), "there is no such database; create it"),
        (asyncpg.TooManyConnectionsError("x"), "the server has no connection left; close some"),
        (ReadOnlyError("the server is a standby"), "this server is read-only, as a standby is"),
        (TimeoutError(), "the server did not answer in time; check host"),
        (TimeoutError("it has not answered for 2 s"), "it has not answered for 2 s"),
        (socket.gaierror(-2, "unknown"), "there is no such host; check the host"),
        (ssl.SSLCertVerificationError("self-signed"), "the server's certificate is not trusted"),
        (ssl.SSLError("wrong version"), "TLS failed; check sslmode"),
        (ConnectionError("rejected SSL upgrade"), "the server has no TLS; check sslmode"),
        (ConnectionRefusedError(111, "refused"), "the server cannot be reached; check host"),
        (ValueError("two\nlines"), "two\\nlines"),
        (asyncpg.UndefinedTableError(""), "UndefinedTableError without a message"),
    ],
)
def test_each_has_one_line(error: BaseException, reason: str) -> None:
    """What was said comes after the remedy."""
    line = reason_of(error)
    assert line.startswith(reason)
    assert "\n" not in line
