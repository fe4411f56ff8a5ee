"""The fake clock and servers: time stands still while an answer is under way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.loops import ON_UVLOOP, UvloopWithFakeClock, shorten

from stoat_jobs.testing import DeadlockError, FakeClockLoop, _clock, run_with_fake_clock
from stoat_jobs.testing._others import QUIET

BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]
)

# Real seconds: long for a loop that does not wait, and more than the silence that it waits for.
LATE = 2 * QUIET


class EchoServer(threading.Thread):
    """Answers each line of one client with the same, some real seconds later."""

    def __init__(self, delay: float) -> None:
        super().__init__(daemon=True)
        self._delay = delay
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        client, _ = self._socket.accept()
        with self._socket, client, client.makefile("rb") as lines:
            for line in lines:
                if line != b"nothing\n":
                    threading.Event().wait(self._delay)
                    client.sendall(line)


@contextlib.contextmanager
def a_server(delay: float = LATE) -> Iterator[int]:
    server = EchoServer(delay)
    server.start()
    yield server.port
    server.join(10)


class Client:
    """A queue that asks a server, and does not tell whether it waits for an answer."""

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(self, word: str) -> str:
        self._writer.write(f"{word}\n".encode())
        return (await self._reader.readline()).decode().strip()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class TellingClient(Client):
    """One that tells it."""

    awaits_server = False

    async def ask(self, word: str) -> str:
        self.awaits_server = True
        try:
            return await super().ask(word)
        finally:
            self.awaits_server = False


@contextlib.asynccontextmanager
async def connected(client: Client, port: int) -> Any:
    the_loop().heed(client)
    await client.connect(port)
    try:
        yield client
    finally:
        await client.close()


def the_loop() -> FakeClockLoop:
    return asyncio.get_running_loop()  # type: ignore[return-value] # or one with its methods


@BOTH_LOOPS
def test_settle_waits_for_an_answer_that_a_queue_awaits(loop_factory: Any) -> None:
    """``settle`` returns once the answer has come and what waited for it has run."""

    async def main(port: int) -> list[str]:
        heard: list[str] = []
        async with connected(TellingClient(), port) as client:

            async def ask_twice() -> None:
                heard.append(await client.ask("one"))
                heard.append(await client.ask("two"))

            asking = asyncio.ensure_future(ask_twice())
            await the_loop().settle()
            assert asking.done()
        return heard

    with a_server() as port:
        assert run_with_fake_clock(main(port), loop_factory) == ["one", "two"]


@BOTH_LOOPS
def test_time_does_not_pass_an_answer_that_is_under_way(loop_factory: Any) -> None:
    """``advance`` and ``drive`` move no time while a server is being asked."""

    async def main(port: int) -> list[float]:
        loop = the_loop()
        begun, heard = loop.time(), []
        async with connected(TellingClient(), port) as client:

            async def ticking() -> None:
                for _ in range(3):
                    await asyncio.sleep(1)
                    await asyncio.wait_for(client.ask("word"), 0.5)
                    heard.append(round(loop.time() - begun, 6))

            first = asyncio.ensure_future(ticking())
            await loop.advance(10)
            await first
            await loop.drive(ticking())
        return heard

    with a_server() as port:
        assert run_with_fake_clock(main(port), loop_factory) == [1, 2, 3, 11, 12, 13]


@BOTH_LOOPS
def test_without_a_word_from_the_queue_silence_counts(loop_factory: Any) -> None:
    """Where no queue tells whether it waits, a quick answer is heard before ``settle`` returns."""

    async def main(port: int) -> None:
        async with connected(Client(), port) as client:
            asking = asyncio.ensure_future(client.ask("word"))
            await the_loop().settle()
            assert asking.done()

    with a_server(delay=0) as port:
        run_with_fake_clock(main(port), loop_factory)


@BOTH_LOOPS
def test_a_connection_that_is_only_open_costs_no_time(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a queue tells whether it waits, ``settle`` waits for no silence, and time may be moved."""

    async def main(port: int) -> None:
        async with connected(TellingClient(), port) as client:
            monkeypatch.setattr(_clock, "QUIET", 10.0)
            notice = asyncio.ensure_future(Client.ask(client, "nobody waits for that"))
            await the_loop().settle()
            await the_loop().advance(5)
            assert not notice.done()
            await notice

    with a_server(delay=0.5) as port:
        run_with_fake_clock(main(port), loop_factory)


@BOTH_LOOPS
def test_a_server_that_never_answers_is_an_error(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the test instead of hanging it, and the queue that waits is named."""

    async def main(port: int) -> None:
        async with connected(TellingClient(), port) as client:
            shorten(monkeypatch, 0.05)
            asyncio.ensure_future(client.ask("nothing"))
            await the_loop().settle()

    with a_server() as port, pytest.raises(DeadlockError, match="TellingClient still waits"):
        run_with_fake_clock(main(port), loop_factory)


@BOTH_LOOPS
def test_an_answer_that_never_comes_is_an_error_whatever_else_stirs(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is not put off by what has nothing to do with it, and the error says who waits."""
    over = threading.Event()

    async def asking_in_vain(client: TellingClient) -> None:
        await client.ask("nothing")

    async def main(port: int) -> None:
        loop = the_loop()

        def stir() -> None:
            while not over.wait(0.005):
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(bool)

        async with connected(TellingClient(), port) as client:
            shorten(monkeypatch, 0.1)
            asyncio.ensure_future(asking_in_vain(client))
            threading.Thread(target=stir).start()
            await loop.settle()

    try:
        with a_server() as port, pytest.raises(DeadlockError, match="still waits.*asking_in_vain"):
            run_with_fake_clock(main(port), loop_factory)
    finally:
        over.set()


@BOTH_LOOPS
def test_an_open_connection_may_wake_the_loop(loop_factory: Any) -> None:
    """What waits for a late answer that nobody tells of is no deadlock while a connection is open.

    Once it is closed, the same wait is one.
    """

    async def main(port: int) -> str:
        async with connected(Client(), port) as client:
            answer = await client.ask("late")
        return str(answer)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    with a_server() as port:
        assert run_with_fake_clock(main(port), loop_factory) == "late"
    with pytest.raises(DeadlockError, match="never, line"):
        run_with_fake_clock(never(), loop_factory)


def test_what_is_driven_and_never_done_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a timer always comes after the last, ``drive`` ends in real time, and says where it was."""
    shorten(monkeypatch, 0.05)

    async def ticking() -> None:
        while True:
            await asyncio.sleep(1e-3)

    async def main() -> None:
        await the_loop().drive(ticking())

    with pytest.raises(DeadlockError, match="ticking, line"):
        run_with_fake_clock(main())


@BOTH_LOOPS
def test_what_only_stirs_is_no_hope_for_ever(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that never ends is an error also if something wakes the loop again and again."""
    shorten(monkeypatch, 0.1)
    over = threading.Event()

    async def main() -> None:
        loop = the_loop()

        def beat() -> None:
            while not over.wait(0.01):
                loop.call_soon_threadsafe(int)

        beating.append(threading.Thread(target=beat))
        beating[0].start()
        await loop.create_future()

    beating: list[threading.Thread] = []
    try:
        with pytest.raises(DeadlockError, match="nothing came.*main, line"):
            run_with_fake_clock(main(), loop_factory)
    finally:
        over.set()
        beating[0].join()
