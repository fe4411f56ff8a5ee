"""TLS as a url asks for it: ``sslmode`` and the files of certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

TLS_NAMES = (
    "channel_binding",
    "ssl",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
)

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_STRICT = _MODES[3:]
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SWITCHES = {"true": "verify-full", "1": "verify-full", "false": "disable", "0": "disable"}
_BINDINGS = ("disable", "prefer", "require")


class Refused(Exception):  # noqa: N818 - a reason that becomes a BackendError
    """Why a url is refused, in words that have nothing of it."""


def tls_argument(given: Mapping[str, str]) -> str | ssl.SSLContext | None:
    """The argument ``ssl`` of :func:`asyncpg.connect`; None: its default, which is ``prefer``.

    asyncpg cannot bind its login to the TLS channel. So if that is required, the certificate and
    its name are verified instead, which excludes the same attackers.

    Raises:
        Refused: it is contradictory, or a file cannot be read.
    """
    mode = given.get("sslmode", given.get("ssl"))
    mode = _SWITCHES.get(mode or "", mode)
    if mode is not None and mode not in _MODES:
        raise Refused(f"has an sslmode in its url that is none of {', '.join(_MODES)}")
    if given.get("channel_binding", "prefer") not in _BINDINGS:
        raise Refused(f"has a channel_binding in its url that is none of {', '.join(_BINDINGS)}")
    if given.get("channel_binding") == "require":
        return _bound(mode, given)
    if not any(name in given for name in _FILES):
        return mode
    if mode not in _STRICT:
        raise Refused(f"has certificates in its url, which need sslmode {' or '.join(_STRICT)}")
    return _context(mode, given)


def _bound(mode: str | None, given: Mapping[str, str]) -> ssl.SSLContext:
    if mode not in (None, *_STRICT):
        raise Refused("requires channel_binding in its url, which needs sslmode=verify-full")
    return _context("verify-full", {"sslrootcert": "system"} | dict(given))


def _context(mode: str, given: Mapping[str, str]) -> ssl.SSLContext:
    try:
        return _read_context(mode, given)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        pass
    raise Refused("has certificates in its url that cannot be read: check the files and their key")


def _read_context(mode: str, given: Mapping[str, str]) -> ssl.SSLContext:
    root = given.get("sslrootcert")
    context = ssl.create_default_context(cafile=None if root == "system" else root)
    context.check_hostname = mode == "verify-full"
    if mode == "require" and root is None:
        context.verify_mode = ssl.CERT_NONE
    if "sslcrl" in given:
        context.load_verify_locations(given["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in given:
        password = given.get("sslpassword", "")
        context.load_cert_chain(given["sslcert"], given.get("sslkey"), lambda: password)
    return context
