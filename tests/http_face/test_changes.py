"""Jobs are deleted, submitted again, and cancelled many at once."""

from __future__ import annotations

from typing import Any

import pytest

from stoat_jobs import JobContext, JobStatus
from stoat_jobs.http import AccessRequest, Operation

from ..support.mounted import BOTH_FACES, HOSTS, JOBS, OPEN, Face, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
BY_HOST = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
NO_JOB = f"{JOBS}/5f0c3b0e-8f0e-4f43-9a4e-0b9a6f2f7f0d"


@BY_HOST
async def test_a_finished_job_is_deleted(host: Any) -> None:
    """A record that is deleted is gone at once, and then there is no such job."""
    async with serving(host, **OPEN) as face:
        place = await face.finished("double", n=1)
        answer = await face.client.delete(place)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert is_problem(await face.get(place), 404, "job-not-found")
        assert is_problem(await face.client.delete(place), 404, "job-not-found")
        assert (await face.get("/")).json() == []


@BY_FACE
async def test_a_live_job_is_not_deleted(host: Any) -> None:
    """A job that has not finished is a conflict: it stays as it is, and the remedy is named."""
    async with serving(host, **OPEN) as face:
        place = await face.begun("held")
        answer = await face.client.delete(place)
        assert is_problem(answer, 409, "job-not-finished")
        assert "cancel it first" in answer.json()["detail"]
        assert (await face.get(place)).json()["cancel_requested"] is False


@BY_HOST
async def test_a_finished_job_is_submitted_again(host: Any) -> None:
    """A new job has the payload of the old one and its metadata, and says which it was."""
    async with serving(host, **OPEN) as face:
        queue = face.works.queue
        old = await queue.submit("double", {"n": 21}, metadata={"user": "ada"})
        await queue.wait(old)
        answer = await face.post(f"/{old}/resubmit")
        assert answer.status_code == 202
        place = answer.headers["location"]
        assert place == f"{JOBS}/{answer.json()['job_id']}" != f"{JOBS}/{old}"
        record = (await face.get(f"{place}/wait")).json()
        assert record["result"] == 42
        assert record["metadata"] == {"user": "ada", "resubmitted_from": old}


@BY_FACE
async def test_what_is_not_submitted_again(host: Any) -> None:
    """A job that is live, unknown, or whose payload was not kept is not; each by its name."""
    async with serving(host, **OPEN) as face:
        live = await face.begun("held")
        failed = await face.finished("fails", text="the password is hunter2")
        assert is_problem(await face.post(f"{live}/resubmit"), 409, "job-not-finished")
        answer = await face.post(f"{failed}/resubmit")
        assert is_problem(answer, 409, "payload-not-kept")
        assert "hunter2" not in answer.text
        assert is_problem(await face.post(f"{NO_JOB}/resubmit"), 404, "job-not-found")
        assert len(await face.works.queue.list_jobs()) == 2


@BY_FACE
async def test_a_payload_that_fits_no_longer(host: Any) -> None:
    """A payload that the handler would refuse now is refused when it is submitted again."""
    async with serving(host, **OPEN) as face:
        place = await face.finished("double", n=1)
        job = face.works.queue._index.get(place.rpartition("/")[2])

        async def double(ctx: JobContext, n: str) -> str:
            return 2 * n

        handlers = type(face.works.handlers)()
        handlers.register("double", double, keep_payload=True)
        face.works.queue.handlers = handlers
        assert job.is_finished
        answer = await face.post(f"{place}/resubmit")
        assert is_problem(answer, 422, "invalid-payload")
        assert answer.json()["errors"][0]["loc"] == ["n"]


@BY_FACE
async def test_a_key_that_another_job_holds_meanwhile(host: Any) -> None:
    """To submit again gives the job that holds the key, unless one may not read that."""

    async def all_but_secret(access: AccessRequest) -> bool:
        is_secret = access.record is not None and access.record.metadata.get("secret") == "yes"
        return not (is_secret and access.operation == Operation.READ)

    async with serving(host, authorize=all_but_secret) as face:
        queue = face.works.queue
        for secret in ("no", "yes"):
            face.works.gate.set()
            old = await queue.submit("kept", {"n": 1}, key="one")
            await queue.wait(old)
            face.works.gate.clear()
            holder = await queue.submit("kept", {"n": 2}, key="one", metadata={"secret": secret})
            answer = await face.post(f"/{old}/resubmit")
            if secret == "yes":
                assert is_problem(answer, 409, "key-in-use")
                assert holder not in f"{answer.text}{answer.headers}"
            else:
                assert (answer.status_code, answer.json()["job_id"]) == (202, holder)
            face.works.gate.set()
            await queue.wait(holder)


async def of_all_kinds(face: Face) -> dict[str, str]:
    """The ids of some jobs by their names."""
    submit = face.works.queue.submit
    return {
        "ada": await submit("held", metadata={"user": "ada"}),
        "bob": await submit("held", metadata={"user": "bob"}),
        "kept": await submit("kept", {"n": 1}, metadata={"user": "ada"}),
        "ended": (await face.finished("fails")).rpartition("/")[2],
    }


@pytest.mark.parametrize(
    ("query", "cancelled"),
    [
        ("all=true", {"ada", "bob", "kept"}),
        ("status=running&status=pending", {"ada", "bob", "kept"}),
        ("metadata.user=ada", {"ada", "kept"}),
        ("metadata.user=ada&job_type=held", {"ada"}),
        ("job_type=kept&job_type=fails", {"kept"}),
        ("status=failed", set()),
        ("job_type=unknown", set()),
    ],
)
@BY_FACE
async def test_many_are_cancelled(host: Any, query: str, cancelled: set[str]) -> None:
    """Each live job that the query means is cancelled, no other, and the answer counts them."""
    async with serving(host, **OPEN) as face:
        ids = await of_all_kinds(face)
        answer = await face.post(f"/cancel?{query}")
        assert (answer.status_code, answer.json()) == (202, {"cancelled": len(cancelled)})
        for name in cancelled:
            await face.works.queue.wait(ids[name])
        records = [await face.works.queue.get_result(job_id) for job_id in ids.values()]
        found = {record.job_id for record in records if record.status is JobStatus.CANCELLED}
        assert found == {ids[name] for name in cancelled}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "all=false",
        "all=true&status=running",
        "status=misspelt",
        "limit=1",
        "before=x",
        "state=running",
        "all=true&all=true",
    ],
)
@BY_FACE
async def test_a_slip_does_not_cancel_everything(host: Any, query: str) -> None:
    """Without a filter, or with one that is wrong, nothing is cancelled; all is said as such."""
    async with serving(host, **OPEN) as face:
        await of_all_kinds(face)
        answer = await face.post(f"/cancel?{query}")
        assert is_problem(answer, 422, "invalid-request")
        records = await face.works.queue.list_jobs()
        assert not any(record.cancel_requested for record in records)


async def test_what_was_submitted_again_is_asked_about_as_such() -> None:
    """The operation of each is its own, so that an application may open one and not another."""
    asked: list[Operation] = []

    async def note(access: AccessRequest) -> bool:
        asked.append(access.operation)
        return access.operation != Operation.DELETE

    async with serving(BOTH_FACES[0], authorize=note) as face:
        place = await face.finished("double", n=1)
        assert (await face.post(f"{place}/resubmit")).status_code == 202
        assert is_problem(await face.client.delete(place), 403, "not-allowed")
        assert (await face.get(place)).status_code == 200
        assert (await face.post("/cancel?all=true")).status_code == 202
        assert asked == ["resubmit", "delete", "read", "cancel_many"]
