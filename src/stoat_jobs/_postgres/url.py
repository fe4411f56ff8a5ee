"""Read the url of a PostgreSQL server, without ever showing its password.

- ``postgresql://``, ``postgres://`` and, as SQLAlchemy writes them, ``postgresql+asyncpg://`` and
  others; several hosts; sockets; ``sslmode`` and the other parameters of libpq.
- Special characters of a password need not be encoded, as long as the url can be read in one way
  only. So each ``@`` is tried as the end of the password; what fits twice is refused.
- Nothing is raised inside an ``except``: a context would have the url.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .._model.errors import BackendError
from .tls import TLS_NAMES, Refused, tls_argument

_DEFAULT_PORT = 5432
_LAST_PORT = 65535

_WHOLE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_OURS = re.compile(r"(postgres|postgresql)(\+[A-Za-z0-9_]+)?")
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What follows the password. Loose, so that what only may be a host makes the url ambiguous.
_HOST = r"(?:\[[0-9A-Za-z:.%]+\]|[^@/?#\[\]:,]*)(?::\d*)?"
_PAIR = r"[A-Za-z_]+=[^&]*"
_PLACE = re.compile(
    rf"({_HOST}(?:,{_HOST})*)(?:/([^/?]*))?(?:\?((?:{_PAIR}(?:&{_PAIR})*)?))?", re.DOTALL
)
_HOST_PORT = re.compile(r"(?:\[(.+)\]|([^:]*))(?::(\d*))?", re.DOTALL)

_PARTS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "database": "database",
}
_SETTINGS = ("application_name", "options")
# What others read, and is of no use here: time limits and keepalives are ours.
_IGNORED = {
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "tcp_user_timeout",
}
_TARGET = "target_session_attrs"
_WRITABLE = ("any", "primary", "read-write")
_KNOWN = sorted({*_PARTS, *_SETTINGS, *_IGNORED, *TLS_NAMES, _TARGET, "passfile"})

_FORM = "postgresql://user:password@host:5432/database"
_ENCODE = "percent-encode special characters of the user and the password, as %40 for @"


@dataclass(frozen=True)
class Address:
    """Where a server is, and who asks; its text, also its ``repr``, has no password.

    >>> address_of("postgres", "postgresql+asyncpg://ada:secret@db.example/app")
    ada@db.example:5432/app
    """

    hosts: tuple[tuple[str, int], ...]
    """Host names or folders of sockets, with ports; the first that can be written to is used.
    An empty name is the default: ``PGHOST``, or a socket of this machine."""
    user: str | None
    database: str | None
    password: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What else :func:`asyncpg.connect` is called with: ``ssl``, ``passfile``."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """``application_name`` and ``options``, where the url has them."""

    def __repr__(self) -> str:
        hosts = ",".join(f"{_bracketed(host)}:{port}" for host, port in self.hosts)
        user = f"{self.user}@" if self.user else ""
        return f"{user}{hosts}/{self.database or ''}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def address_of(backend: str, url: str | None) -> Address:
    """The parts of *url*.

    Raises:
        BackendError: there is no url, it is of another kind, or it cannot be read. The error has
            nothing of the url but its scheme, and no cause.
    """
    try:
        return _address(url)
    except Refused as refused:
        reason = str(refused)
    raise BackendError(backend, reason)


class _Reading(NamedTuple):
    """One way to read a url; nothing is decoded yet."""

    login: str
    hosts: str
    database: str
    query: str


def _address(url: str | None) -> Address:
    reading = _only_reading(_without_scheme(url))
    given = _query(reading.query)
    parts = _parts(reading, given)
    if given.get(_TARGET, "any") not in _WRITABLE:
        raise Refused(f"needs a server that can be written to: {_TARGET}=read-write")
    arguments = {"ssl": tls_argument(given), "passfile": given.get("passfile")}
    return Address(
        _hosts(reading.hosts, given),
        parts.get("user"),
        parts.get("database"),
        parts.get("password"),
        {name: value for name, value in arguments.items() if value is not None},
        {name: given[name] for name in _SETTINGS if name in given},
    )


def _without_scheme(url: str | None) -> str:
    url = (url or "").strip()
    if not url:
        raise Refused(f"needs `url` in its settings: {_FORM}")
    whole = _WHOLE.fullmatch(url)
    if whole is None:
        raise Refused(f"has a url without a scheme; it is {_FORM}")
    if not _OURS.fullmatch(whole[1]):
        raise Refused(f"cannot use a url that begins with {whole[1][:40]}://; it is {_FORM}")
    if "\0" in url or _SURROGATE.search(url):
        raise Refused("has a url with characters that no server can have")
    return whole[2]


def _only_reading(rest: str) -> _Reading:
    readings = list(_readings(rest))
    if not readings:
        raise Refused(f"has a url that cannot be read; it is {_FORM}; {_ENCODE}")
    if len(readings) > 1:
        raise Refused(f"has a url that can be read in several ways; {_ENCODE}")
    return readings[0]


def _readings(rest: str) -> Iterator[_Reading]:
    """The ways to read a url: the login may end at any ``@``, or there is none."""
    for start in [0, *(at.end() for at in re.finditer("@", rest))]:
        login = rest[: max(start - 1, 0)]
        place = _PLACE.fullmatch(rest, start)
        if place is not None and not re.search("[/?#]", login.partition(":")[0]):
            yield _Reading(login, place[1], place[2] or "", place[3] or "")


def _query(query: str) -> dict[str, str]:
    """The parameters; a repeated ``host`` is a list of hosts."""
    given: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name not in _KNOWN:
            raise Refused(f"has a parameter in its url that is none of {', '.join(_KNOWN)}")
        if name in given and name != "host":
            raise Refused(f"has `{name}` twice in its url")
        given[name] = f"{given[name]},{_decoded(value)}" if name in given else _decoded(value)
    return given


def _parts(reading: _Reading, given: Mapping[str, str]) -> dict[str, str]:
    """User, password and database, each from its place in the url or from its parameter."""
    user, _, password = reading.login.partition(":")
    found = {"user": user, "password": password, "database": reading.database}
    parts = {name: _decoded(text) for name, text in found.items() if text}
    for name, part in _PARTS.items():
        if name not in given or part in ("host", "port"):
            continue
        if part in parts:
            raise Refused(f"has its {part} twice in its url")
        parts[part] = given[name]
    return parts


def _hosts(authority: str, given: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    if authority and "host" in given:
        raise Refused("has its host twice in its url")
    if authority:
        hosts = [_host(spec, _decoded) for spec in authority.split(",")]
    else:
        hosts = [_host(spec, str) for spec in given.get("host", "").split(",")]
    if len(hosts) > 1 and not all(name for name, _ in hosts):
        raise Refused("has an empty host among several in its url")
    ports = given.get("port", "").split(",")
    if len(ports) not in (1, len(hosts)):
        raise Refused("has another number of ports than of hosts in its url")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return tuple((name, _port(port or given)) for (name, port), given in zip(hosts, ports))


def _host(spec: str, decode: Any) -> tuple[str, str]:
    """A host's name, or a socket's folder, and its port as written."""
    if spec.startswith("/") or (spec.count(":") > 1 and not spec.startswith("[")):
        return spec, ""
    found = _HOST_PORT.fullmatch(spec)
    if found is None:
        raise Refused("has a host in its url that cannot be read")
    return decode(found[1] or found[2] or ""), found[3] or ""


def _port(text: str) -> int:
    text = text or os.environ.get("PGPORT", "") or str(_DEFAULT_PORT)
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _LAST_PORT):
        raise Refused("has a port in its url that is not a number from 1 to 65535")
    return int(text)


def _decoded(text: str) -> str:
    """*text* without its escapes; a ``%`` that begins none is itself, if there is no escape."""
    escapes = len(_ESCAPE.findall(text))
    if not escapes:
        return text
    plain = _utf8(unquote_to_bytes(text))
    if escapes != text.count("%") or plain is None or "\0" in plain:
        raise Refused(f"has an escape in its url that cannot be read; {_ENCODE}, and %25 for %")
    return plain


def _utf8(encoded: bytes) -> str | None:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return None
