"""What errors of the server and of its driver mean: one line that says what to do."""

from __future__ import annotations


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed in a moment: a server that restarts, a cut
    connection, a serialization failure, a deadlock, too many connections, a standby.
    """
    raise NotImplementedError


def is_data_error(error: BaseException) -> bool:
    """Whether the server or the driver refuses a value of the statement, and always will."""
    raise NotImplementedError


def reason_of(error: BaseException) -> str:
    """What *error* means and what to do, in one line without secrets."""
    raise NotImplementedError
