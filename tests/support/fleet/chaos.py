"""``python -m tests.support.fleet.chaos``: rounds in which all that can fail does, and is counted.

In each, some workers and submitters share a queue, and a plan that a seed gives kills, stops and
restarts them, the server and the connections. Then all is quiet, and what was noted is held
against what is stored. ``--full`` is for twenty rounds; ``--rounds`` and ``--seed`` choose others.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg

from ..postgres.cluster import Cluster
from .fleet import BOUND, Fleet, Member, until
from .load import cut, is_quiet
from .verdict import Verdict, stored

WORKERS, SUBMITTERS = 3, 2
FULL, SHORT = 20, 2
ACTS = 15
"""Faults in a round."""

LEASE = 2.0
SETTINGS: dict[str, Any] = {"options": {"lease": LEASE}}


class Round:
    """The faults of one round, and what came of them."""

    def __init__(self, cluster: Cluster, fleet: Fleet, seed: str) -> None:
        self._cluster = cluster
        self._fleet = fleet
        self._random = random.Random(seed)
        self._seed = seed
        self._workers: list[Member] = []
        self._submitters: list[Member] = []
        self._thawing: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()

    async def run(self, acts: int = ACTS) -> Verdict:
        self._workers = [await self._fleet.worker() for _ in range(WORKERS)]
        self._submitters = [await self._submitter() for _ in range(SUBMITTERS)]
        for _ in range(acts):
            await asyncio.sleep(self._random.random())
            await self._act()
        await self._calm_down()
        return await self._judge()

    async def _submitter(self) -> Member:
        member = self._fleet.begin_submitter(f"{self._seed} {len(self._fleet.members)}")
        await self._fleet.up(member)
        return member

    # What goes wrong.

    async def _act(self) -> None:
        acts: dict[Callable[[], Awaitable[None]], int] = {
            self._kill_worker: 6,
            self._stop_worker: 5,
            self._restart_worker: 4,
            self._kill_submitter: 1,
            self._cut_some: 5,
            self._cut_all: 2,
            self._restart_server: 2,
            self._freeze_server: 1,
        }
        act = self._random.choices(list(acts), list(acts.values()))[0]
        self.done[act.__name__.strip("_").replace("_", " ")] += 1
        await act()

    async def _kill_worker(self) -> None:
        await self._replace(self._draw_worker().kill)

    async def _restart_worker(self) -> None:
        """In order, as for a new release."""
        worker = self._draw_worker()
        worker.thaw()
        await self._replace(worker.terminate)

    async def _replace(self, leave: Callable[[], None]) -> None:
        leave()
        self._workers.append(self._fleet.begin_worker())

    def _draw_worker(self) -> Member:
        """One that leaves the others."""
        return self._workers.pop(self._random.randrange(len(self._workers)))

    async def _stop_worker(self) -> None:
        """For less or more than its lease."""
        worker = self._random.choice(self._workers)
        worker.freeze()
        self._later(self._random.random() * 3 * LEASE, worker.thaw)

    def _later(self, seconds: float, thaw: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            thaw()

        task = asyncio.create_task(wait())
        self._thawing.add(task)
        task.add_done_callback(self._thawing.discard)

    async def _kill_submitter(self) -> None:
        self._submitters.pop(0).kill()
        self._submitters.append(await self._submitter())

    async def _cut_some(self) -> None:
        await cut(self._fleet.url, "random() < 0.3")

    async def _cut_all(self) -> None:
        await cut(self._fleet.url)

    async def _restart_server(self) -> None:
        how = self._random.choice(("fast", "immediate", "killed"))
        self._cluster.kill() if how == "killed" else self._cluster.stop(how)  # type: ignore[arg-type]
        self.done[f"server {how}"] += 1
        await asyncio.sleep(self._random.choice((0.0, 0.5, 3.0)))
        self._cluster.start()

    async def _freeze_server(self) -> None:
        self._cluster.freeze()
        await asyncio.sleep(self._random.random() * 2 * LEASE)
        self._cluster.thaw()

    # And what comes of it.

    async def _calm_down(self) -> None:
        """Let all go on, and wait until every job has ended and who waits was told."""
        while self._thawing:
            await asyncio.wait(self._thawing)
        # One that was started while the server was away has said so, and ended.
        self._workers = [worker for worker in self._workers if worker.is_alive]
        self._workers.append(await self._fleet.worker())
        for submitter in self._submitters:
            submitter.terminate()
        for submitter in self._submitters:
            await self._ended(submitter)

    async def _ended(self, member: Member) -> None:
        await member.ended(2 * 60)

    async def _judge(self) -> Verdict:
        async with self._fleet.queue() as queue:
            await until(lambda: is_quiet(queue), 2 * 60, "the end of every job")
            records = await stored(queue)
        for worker in self._workers:
            worker.terminate()
        for member in self._fleet.members:
            await self._ended(member)
        verdict = Verdict(self._fleet.books.entries(), records)
        self._check_members(verdict)
        await self._check_tables(verdict)
        return verdict

    def _check_members(self, verdict: Verdict) -> None:
        for member in self._fleet.gone:
            verdict.faults.add("a process ended by itself", (member.pid, member.process.returncode))
        for down in self._fleet.books.entries("down"):
            (stopping,) = self._fleet.books.entries("stopping", pid=down["pid"])
            frozen = self._fleet.books.entries("frozen", member=down["pid"])
            if down["at"] - stopping["at"] > BOUND and not frozen:
                verdict.faults.add("a stop took longer than promised", (stopping, down))

    async def _check_tables(self, verdict: Verdict) -> None:
        connection = await asyncpg.connect(self._fleet.url)
        left = await connection.fetchval("SELECT count(*) FROM stoat_jobs.pgqueuer")
        await connection.close()
        if left:
            verdict.faults.add("rows of the engine are left", left)


async def one_round(cluster: Cluster, folder: Path, seed: str) -> tuple[Verdict, Counter[str]]:
    """A round on a database of its own."""
    url = cluster.new_database()
    with Fleet(url, folder, **SETTINGS) as fleet:
        playing = Round(cluster, fleet, seed)
        verdict = await playing.run()
    cluster.drop_database(url)
    return verdict, playing.done


def play(rounds: int, seed: int) -> bool:
    """Play them, and say what was counted; whether nothing was wrong."""
    good = 0
    counts: Counter[str] = Counter()
    done: Counter[str] = Counter()
    with Cluster() as cluster:
        cluster.start()
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                verdict, acts = asyncio.run(one_round(cluster, Path(folder), f"{seed} {number}"))
            counts += verdict.counts
            done += acts
            good += not verdict.faults.counts
            print(f"round {number + 1}: {'good' if not verdict.faults.counts else 'BAD'},", end=" ")
            print(f"{verdict.counts['jobs acknowledged']:,} jobs, {sum(acts.values())} acts")
            print(*verdict.faults.lines(), sep="\n", end="", flush=True)
    for table in (done, counts):
        print()
        for what, count in sorted(table.items()):
            print(f"  {what:50} {count:>10,}")
    print(f"\n{good} of {rounds} rounds good; seed {seed}")
    return good == rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    given = parser.parse_args()
    rounds = given.rounds or (FULL if given.full else SHORT)
    sys.exit(not play(rounds, given.seed))


if __name__ == "__main__":
    main()
