"""Urls of every kind are read as they are meant, or refused without a word of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoat_jobs import BackendError, JobQueueSettings, create_queue
from stoat_jobs._postgres.url import Address, address_of

from ..support.postgres.secrets import chain_of, texts_of


def read(url: str | None) -> Address:
    return address_of("postgres", url)


def refusal(url: str | None) -> str:
    with pytest.raises(BackendError) as caught:
        read(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgres+x"]
)
def test_each_scheme_is_known(scheme: str) -> None:
    """libpq's, its short form, and SQLAlchemy's with any driver."""
    found = read(f"{scheme}://ada:secret@db.example:6000/app")
    assert (found.hosts, found.user, found.password, found.database) == (
        (("db.example", 6000),),
        "ada",
        "secret",
        "app",
    )


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://h", [("h", 5432)]),
        ("postgresql://h:/app", [("h", 5432)]),
        ("postgresql://", [("", 5432)]),
        ("postgresql:///app", [("", 5432)]),
        ("postgresql://:6000/app", [("", 6000)]),
        ("postgresql://[::1]:6000/app", [("::1", 6000)]),
        ("postgresql://[fe80::1%25eth0]/app", [("fe80::1%eth0", 5432)]),
        ("postgresql://a,b:6001,[::1]/app", [("a", 5432), ("b", 6001), ("::1", 5432)]),
        ("postgresql://a,b/app?port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql://a,b/app?port=7", [("a", 7), ("b", 7)]),
        ("postgresql:///app?host=a&port=9", [("a", 9)]),
        ("postgresql:///app?host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("postgresql:///app?host=::1", [("::1", 5432)]),
        ("postgresql:///app?host=/run/postgresql", [("/run/postgresql", 5432)]),
        ("postgresql:///app?host=/a,/b&port=1,2", [("/a", 1), ("/b", 2)]),
        ("postgresql://%2Frun%2Fpg:6000/app", [("/run/pg", 6000)]),
        ("postgresql://ada@%2Frun%2Fpg/app", [("/run/pg", 5432)]),
        (" postgresql://h/app\n", [("h", 5432)]),
    ],
)
def test_hosts_ports_and_sockets(url: str, hosts: list[Any]) -> None:
    """One or several, by name, address or folder, in the place of libpq or of SQLAlchemy."""
    assert list(read(url).hosts) == hosts


def test_the_port_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every program of PostgreSQL."""
    monkeypatch.setenv("PGPORT", "6001")
    assert read("postgresql://a,b:6002").hosts == (("a", 6001), ("b", 6002))
    monkeypatch.setenv("PGPORT", "none")
    assert "not a number" in refusal("postgresql://a")


PASSWORDS = [
    "p#w", "p/w", "p@w", "p:w", "p?w", "p[w", "p]w", "p%w", "100%", "%", "%zz", "p&w=1", "p w", "p+w",
    "a@b@c", "@", "::", "#/@:?[%", "se,cret", "ключ", "🔑", "//", "?sslmode", "x@[::1", "\\", "'\"",
]  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("place", ["db.example:5432/app", "a:1,[::1]:2/app?sslmode=require", "h"])
def test_special_characters_need_no_encoding(password: str, place: str) -> None:
    """A password is read as it is written where the url can be read in one way only."""
    found = read(f"postgresql://ada:{password}@{place}")
    assert (found.user, found.password) == ("ada", password)
    assert found.hosts[-1][0] in ("db.example", "::1", "h")


@pytest.mark.parametrize("password", [*PASSWORDS, "p%41w", "x@h/y", "5432/x", "%2525"])
def test_encoded_characters_are_decoded(password: str) -> None:
    """Whatever is in a password, encoded it is read."""
    url = f"postgresql://{quote('a@b:c', safe='')}:{quote(password, safe='')}@h/app%2F1"
    found = read(url)
    assert (found.user, found.password, found.database) == ("a@b:c", password, "app/1")
    assert (
        read(f"postgresql://h/?user=ada&password={quote(password, safe='')}").password == password
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_an_encoded_password_is_always_read(password: str) -> None:
    """Any text but U+0000, which no server can have."""
    assert (read(f"postgresql://a:{quote(password, safe='')}@h/d").password or "") == password


LOGINS = st.text("ab:/@?#[]%=&,.1", max_size=12)


@given(LOGINS)
def test_a_bare_password_is_read_as_written_or_refused(password: str) -> None:
    """Never as another one, and never as a part of the host, the database or the parameters."""
    url = f"postgresql://ada:{password}@db.example/app"
    try:
        found = read(url)
    except BackendError as error:
        assert "db.example" not in texts_of(error)
        return
    expected = None if not password else password
    encoded = any(escape in password for escape in ("%1", "%a", "%b"))
    assert (found.user, found.database) == ("ada", "app")
    assert found.hosts == (("db.example", 5432),)
    assert found.password == expected or encoded


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:x@h/y@db",
        "postgresql://ada:5432/secret@db",
        "postgresql://ada:5432/secret@d b",
        "postgresql://ada:secret@h/x@d",
        "postgresql://ada:secret@db/app?application_name=me@host",
        "postgresql://:1/secret@db",
    ],
)
def test_what_can_be_read_in_several_ways_is_refused(url: str) -> None:
    """The remedy is to encode it."""
    assert "can be read in several ways; percent-encode" in refusal(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "needs `url` in its settings: postgresql://"),
        ("  ", "needs `url` in its settings"),
        ("mysql://ada:secret@h/app", "cannot use a url that begins with mysql://"),
        ("postgresqlx://ada:secret@h/app", "cannot use a url that begins with postgresqlx://"),
        ("host=h password=secret", "without a scheme"),
        ("secret", "without a scheme"),
        ("postgresql:ada:secret@h", "without a scheme"),
        ("postgresql://ada:secret@::1/app", "cannot be read"),
        ("postgresql://ada:secret@h/app/secret", "cannot be read"),
        ("postgresql://ada:secret@h:x/app", "cannot be read"),
        ("postgresql://ada:secret@h:0/app", "a port in its url"),
        ("postgresql://ada:secret@h:65536/app", "a port in its url"),
        ("postgresql://ada:secret@h:٣/app", "a port in its url"),
        ("postgresql://ada:secret@h:99999999999999999999/app", "a port in its url"),
        ("postgresql://ada:secret@a,b/app?port=1,2,3", "another number of ports"),
        ("postgresql://ada:secret@a,,b/app", "an empty host among several"),
        ("postgresql://ada:secret@a/app?host=b", "has its host twice"),
        ("postgresql:///app?host=[::1", "a host in its url that cannot be read"),
        ("postgresql://ada:secret@h/app?user=bob", "has its user twice"),
        ("postgresql://ada:secret@h/app?password=secret2", "has its password twice"),
        ("postgresql://ada:secret@h/app?dbname=b", "has its database twice"),
        ("postgresql://h/app?user=a&user=secret", "has `user` twice"),
        ("postgresql://ada:secret@h/app?secret=1", "a parameter in its url that is none of"),
        ("postgresql://ada:secret%ff@h/app", "an escape in its url"),
        ("postgresql://ada:secret%00@h/app", "an escape in its url"),
        ("postgresql://ada:secret%41%@h/app", "an escape in its url"),
        ("postgresql://ada:secret\0@h/app", "characters that no server can have"),
        ("postgresql://ada:secret\ud800@h/app", "characters that no server can have"),
        ("postgresql://ada:secret@h/app?target_session_attrs=standby", "can be written to"),
        ("postgresql://ada:secret@h/app?sslmode=secret", "an sslmode in its url that is none of"),
        ("postgresql://ada:secret@h/app?channel_binding=secret", "a channel_binding in its url"),
        ("postgresql://ada:secret@h/app?channel_binding=require&sslmode=allow", "sslmode=verify"),
        ("postgresql://ada:secret@h/app?sslrootcert=/secret", "need sslmode"),
        ("postgresql://ada:secret@h/app?sslmode=require&sslcert=/secret", "cannot be read"),
        ("postgresql://ada:secret@h/app?sslmode=verify-ca&sslrootcert=/secret", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(url: str | None, reason: str) -> None:
    """The line says why, and has nothing of the url but its scheme; there is no chain."""
    assert reason in refusal(url)
    with pytest.raises(BackendError) as caught:
        create_queue(None, JobQueueSettings(backend="postgres", url=url))
    assert "secret" not in texts_of(caught.value)
    assert len(list(chain_of(caught.value))) == 1


def test_a_listen_url_is_refused_alike() -> None:
    """It too has a password."""
    url, options = "postgresql://h/app", {"listen_url": "mysql://ada:secret@h/app"}
    with pytest.raises(BackendError, match="begins with mysql://") as caught:
        create_queue(None, JobQueueSettings(backend="postgres", url=url, options=options))
    assert "secret" not in texts_of(caught.value)


def test_the_settings_that_the_server_gets(tmp_path: Path) -> None:
    """The application's name and options; what is ours to decide is left out."""
    found = read("postgresql://h/d?application_name=a%20b&options=-c%20x.y=1&connect_timeout=3")
    assert (dict(found.settings), dict(found.arguments)) == (
        {"application_name": "a b", "options": "-c x.y=1"},
        {},
    )
    assert dict(read("postgresql://h?passfile=/p").arguments) == {"passfile": "/p"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("?sslmode=disable", "disable"),
        ("?sslmode=require&channel_binding=prefer", "require"),
        ("?ssl=verify-full", "verify-full"),
        ("?ssl=true", "verify-full"),
        ("?ssl=false", "disable"),
    ],
)
def test_tls_by_its_mode(query: str, expected: str | None) -> None:
    """As libpq calls it, or as SQLAlchemy does."""
    assert read(f"postgresql://h/d{query}").arguments.get("ssl") == expected


@pytest.mark.parametrize("mode", ["", "&sslmode=require", "&sslmode=verify-full"])
def test_where_the_channel_must_be_bound_the_certificate_is_verified(mode: str) -> None:
    """asyncpg cannot bind it; a verified name excludes the same attackers."""
    context = read(f"postgresql://h/d?channel_binding=require{mode}").arguments["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_neither_address_nor_queue_nor_settings_show_the_password() -> None:
    """Whatever prints them."""
    url = "postgresql://ada:s3cr3tword@h/app"
    options = {"listen_url": "postgresql://ada:s3cr3tword@h/app"}
    settings = JobQueueSettings(backend="postgres", url=url, options=options)
    queue: Any = create_queue(None, settings)
    shown = [read(url), queue, queue._connections, queue.options, queue.settings, settings]
    for each in shown:
        assert "s3cr3tword" not in f"{each!r} {each!s}"
    assert repr(read(url)) == "ada@h:5432/app"
    assert repr(read("postgresql://[::1]:1,b:2")) == "[::1]:1,b:2/"
