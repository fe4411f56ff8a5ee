"""A server that cannot be used is found at the start, within 10 seconds, in one line."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from urllib.parse import quote

import asyncpg
import pytest

from stoat_jobs import BackendError, BackendStartError, JobQueueSettings, create_queue
from stoat_jobs._postgres import connections as module
from stoat_jobs.postgres import create_tables

from ..support.postgres.cluster import PASSWORD, Cluster, name_in
from ..support.postgres.opened import connections, opened, value
from ..support.postgres.secrets import texts_of
from ..support.postgres.service import unprivileged
from ..support.postgres.silent import swallowing
from ..support.postgres.standby import Standby, url_of_all

SECRET = "s3cr3t#w/o@rd:x?[%"


async def refusal(url: str, caplog: pytest.LogCaptureFixture | None = None) -> str:
    """The line with which a start is refused; the password is nowhere."""
    tried = connections(url)
    with pytest.raises(BackendStartError) as caught:
        await asyncio.wait_for(tried.open(), 10)
    line = str(caught.value)
    assert "\n" not in line
    assert PASSWORD not in (shown := texts_of(caught.value) + (caplog.text if caplog else ""))
    assert "s3cr3t" not in shown
    assert caught.value.__cause__ is caught.value.__context__ is None
    return line


@pytest.fixture
def silent_port() -> Iterator[int]:
    with swallowing() as port:
        yield port


async def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the address, and says that the server does not run there."""
    caplog.set_level(logging.DEBUG)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        line = await refusal(f"postgresql://ada:{SECRET}@127.0.0.1:{port}/app", caplog)
    assert f"ada@127.0.0.1:{port}/app: the server cannot be reached; check host and port" in line


async def test_a_socket_that_is_not_there(tmp_path: object) -> None:
    """The same for a socket's folder."""
    line = await refusal(f"postgresql:///app?host={tmp_path}")
    assert "the server cannot be reached" in line


async def test_a_host_that_does_not_exist() -> None:
    """The line says that the name is wrong."""
    assert "there is no such host" in await refusal("postgresql://no-such-host.invalid/app")


async def test_a_host_that_swallows_packets(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up within 10 seconds; here after fewer, to save time."""
    assert 5 < module._START < 10
    monkeypatch.setattr(module, "_START", 0.2)
    line = await refusal(f"postgresql://ada:{SECRET}@127.0.0.1:{silent_port}/app")
    assert "the server did not answer in time; check host, port and firewall" in line


async def test_a_wrong_password(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """The line says so, and neither the line nor the log has it."""
    caplog.set_level(logging.DEBUG)
    url = f"postgresql://stoat:{SECRET}@127.0.0.1:{cluster.port}/jobs"
    line = await refusal(url, caplog)
    assert "the server refused the password; check user and password in the url" in line


async def test_no_such_user(cluster: Cluster) -> None:
    """With passwords the server says the same, so that nobody can try names."""
    line = await refusal(f"postgresql://nobody:{SECRET}@127.0.0.1:{cluster.port}/jobs")
    assert "check user and password" in line


async def test_no_such_database(cluster: Cluster) -> None:
    """The line says to create it."""
    assert "there is no such database; create it" in await refusal(cluster.url_of("nowhere"))


async def test_another_encoding(cluster: Cluster) -> None:
    """Only UTF-8 can keep every text."""
    url = cluster.new_database(encoding="LATIN1")
    line = await refusal(url)
    cluster.drop_database(url)
    assert "the database has the encoding LATIN1; create one with ENCODING 'UTF8'" in line


async def test_a_server_without_tls(url: str) -> None:
    """Demanded by the url, it is not done without."""
    for mode in ("require", "verify-full&sslrootcert=system"):
        assert "the server has no TLS; check sslmode" in await refusal(f"{url}?sslmode={mode}")


async def test_a_server_that_is_too_old(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says which it is, and which is the oldest."""
    monkeypatch.setattr(module, "MINIMUM", 990000)
    line = await refusal(url)
    assert "is too old; use 99 or later" in line


async def test_a_standby_alone(standby: Standby) -> None:
    """It cannot be written to, so give the primary's url, or both hosts."""
    line = await refusal(standby.url)
    assert "this server is read-only, as a standby is; give the primary's url, or all hosts" in line


async def test_of_several_hosts_the_one_that_can_be_written_to(
    own_cluster: Cluster, standby: Standby, silent_port: int
) -> None:
    """Whatever their order, whether a host is a standby, down, or does not answer at all."""
    hosts = url_of_all(standby, own_cluster)
    for url in (hosts, hosts.replace("@", "@127.0.0.1:1,"), url_of_all(own_cluster, standby)):
        used = connections(url)
        await used.open()
        rows = await used.fetch("SELECT pg_is_in_recovery() AS standby, inet_server_port() AS port")
        assert (rows[0]["standby"], rows[0]["port"]) == (False, own_cluster.port)
        await used.close(1)
    url = hosts.replace("@", f"@127.0.0.1:{silent_port},")
    used = connections(url)
    await used.open()  # the silent one has had its share of the time
    await used.fetch("SELECT 1", seconds=0.5)
    await used.close(1)


async def test_after_a_failover_the_new_primary_is_used(
    own_cluster: Cluster, standby: Standby
) -> None:
    """The pool of the old one is dropped, and what is tried again succeeds."""
    used = connections(url_of_all(own_cluster, standby))
    await used.open()
    await used.fetch("SELECT 1")
    own_cluster.kill()
    standby.promote()
    rows = await used.fetch_retried("SELECT inet_server_port()", seconds=30)
    assert rows[0]["inet_server_port"] == standby.port
    await used.close(1)


async def test_a_read_only_server_drops_the_pool(url: str) -> None:
    """One connection that says so speaks for all."""
    used = connections(url)
    await used.open()
    pid = await value(used, "SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with used.transaction() as connection:
            await connection.execute("SET TRANSACTION READ ONLY; CREATE TABLE x ()")
    assert await value(used, "SELECT pg_backend_pid()") != pid
    await used.close(1)


async def test_too_many_connections_are_waited_for(own_cluster: Cluster) -> None:
    """A connection that is freed meanwhile is used."""
    own_cluster.sql("ALTER DATABASE jobs CONNECTION LIMIT 1")
    first = connections(own_cluster.url)
    await first.open()
    second = connections(own_cluster.url)
    opening = asyncio.create_task(second.open())
    done, _ = await asyncio.wait([opening], timeout=0.5)
    assert not done
    await first.close(1)
    await opening
    await second.close(1)


async def test_without_a_free_connection_the_start_says_so(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After waiting for one."""
    own_cluster.sql("ALTER DATABASE jobs CONNECTION LIMIT 1")
    first = connections(own_cluster.url)
    await first.open()
    monkeypatch.setattr(module, "_START", 3.0)
    try:
        assert "the server has no connection left" in await refusal(own_cluster.url)
    finally:
        await first.close(1)


async def test_the_start_of_a_queue_keeps_the_password_to_itself(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its error, nor what caused that, nor any log has it, also not that of listen_url."""
    caplog.set_level(logging.DEBUG)
    wrong = f"postgresql://stoat:{SECRET}@127.0.0.1:{cluster.port}/jobs"
    for url, options in [(wrong, {}), (cluster.url, {"listen_url": wrong})]:
        settings = JobQueueSettings(backend="postgres", url=url, options=options)
        queue = create_queue(None, settings)
        with pytest.raises(BackendStartError) as caught:
            async with queue:
                pass
        shown = texts_of(caught.value) + caplog.text + repr((queue, queue.settings))
        assert "s3cr3t" not in shown
        assert PASSWORD not in shown
        assert "refused the password" in str(caught.value)


async def test_tables_that_may_not_be_created_are_asked_for(url: str) -> None:
    """With ``create_tables=False`` the start says what to run."""
    options = {"create_tables": False, "schema": "river"}
    settings = JobQueueSettings(backend="postgres", url=url, options=options)
    with pytest.raises(BackendError, match="river: run `stoat-jobs postgres init URL`"):
        async with create_queue(None, settings):
            pass
    await create_tables(url, "river")
    async with create_queue(None, settings) as queue:
        assert not await queue.list_jobs()


async def test_a_queue_that_is_not_started_says_why_it_cannot_read(
    cluster: Cluster, url: str
) -> None:
    """Without tables that a start may not make, or a login, there is an error, and not no jobs."""
    options = {"create_tables": False}
    settings = JobQueueSettings(backend="postgres", url=url, options=options)
    for _ in range(2):
        with pytest.raises(BackendError, match="stoat_jobs: run `stoat-jobs postgres init URL`"):
            await create_queue(None, settings).list_jobs()
    wrong = url.replace(PASSWORD, "s3cr3t")
    with pytest.raises(BackendError, match="refused the password") as caught:
        await create_queue(None, JobQueueSettings(backend="postgres", url=wrong)).stats()
    assert "s3cr3t" not in texts_of(caught.value)
    settings = JobQueueSettings(backend="postgres", url=url)
    assert not await create_queue(None, settings).list_jobs()


@pytest.fixture
def tls_cluster(own_cluster: Cluster) -> Cluster:
    """A server that demands TLS, with a certificate that nobody has signed."""
    certificate, key = (own_cluster.data / name for name in ("server.crt", "server.key"))
    make = ["openssl", "req", "-new", "-x509", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    make += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out"]
    subprocess.run([*make, str(certificate)], check=True, capture_output=True)
    for path in (certificate, key):
        os.chown(path, *unprivileged())
        path.chmod(0o600)
    own_cluster.configure(ssl="on")
    hba = own_cluster.data / "pg_hba.conf"
    hba.write_text("hostssl all all all scram-sha-256\nhostnossl all all all reject\n")
    own_cluster.restart()
    return own_cluster


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")
async def test_a_server_that_demands_tls(tls_cluster: Cluster) -> None:
    """It gets it by default; forbidden by the url it refuses; its certificate is checked if asked."""
    url = tls_cluster.url
    for good in (url, f"{url}?sslmode=require"):
        async with opened(good) as used:
            assert await value(used, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert "which may demand TLS (sslmode=require)" in await refusal(f"{url}?sslmode=disable")
    for mode in ("channel_binding=require", "sslmode=verify-full&sslrootcert=system"):
        assert "certificate is not trusted; check sslrootcert" in await refusal(f"{url}?{mode}")
    trusted = f"sslmode=verify-full&sslrootcert={tls_cluster.data / 'server.crt'}"
    async with opened(f"{url}?{trusted}".replace("127.0.0.1", "localhost")) as used:
        await used.fetch("SELECT 1")


@pytest.mark.parametrize("password", ["p#w", "p/w@x:y", "?[%]&=", "ключ 🔑", "%41%zz"[:3]])
async def test_a_strange_password_opens_the_server(cluster: Cluster, password: str) -> None:
    """Encoded; and as it is, where it can be read in one way."""
    sql_text = password.replace("'", "''")
    cluster.sql(f"DROP ROLE IF EXISTS odd; CREATE ROLE odd LOGIN PASSWORD '{sql_text}'")
    for text in {quote(password, safe=""), password.replace("%", "%25")}:
        used = connections(f"postgresql://odd:{text}@127.0.0.1:{cluster.port}/postgres")
        await used.open()
        await used.close(1)


async def test_listen_url_has_no_more_to_say(cluster: Cluster, url: str) -> None:
    """Its password is in no error either."""
    bad = f"postgresql://stoat:{SECRET}@127.0.0.1:{cluster.port}/{name_in(url)}"
    used = connections(url, listen_url=bad)
    await used.open()
    with pytest.raises(asyncpg.InvalidPasswordError) as caught:
        await used.connect(listening=True)
    assert "s3cr3t" not in texts_of(caught.value)
    assert "s3cr3t" not in repr(used)
    await used.close(1)
    with pytest.raises(BackendError) as refused:
        connections(url, listen_url=f"mysql://stoat:{SECRET}@h/x")
    assert "s3cr3t" not in texts_of(refused.value)
