"""Jobs whose messages Redis has lost, and jobs that expire."""

from __future__ import annotations

from redis import Redis

from tests.acceptance.conftest import connect
from tests.acceptance.stacks import SHORT_LIVED, Crew, SharedStacks
from tests.patience import until


def test_jobs_whose_messages_were_lost_with_redis_are_published_again(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=0)) as stack:
        client = connect(stack, contacts=250)
        paths = [client.start("contacts") for _ in range(5)]
        with Redis.from_url(stack.redis.url) as redis:
            redis.flushall()
        stack.start_worker().wait_ready()
        for path in paths:
            job = client.finished(path)
            assert (job["status"], job["progress"]["records"]) == ("succeeded", 250)


def test_a_finished_job_is_gone_with_its_results_when_its_time_is_over(stacks: SharedStacks) -> None:
    seconds = 4
    with stacks.lent(SHORT_LIVED, Crew(settings={"RESULT_TTL_DAYS": str(seconds / 86_400)})) as stack:
        client = connect(stack, contacts=250)
        path = client.start("contacts")
        job = client.finished(path)
        assert job["expires_at"] > job["finished_at"]
        for each in (path, f"{path}/results"):
            until(lambda each=each: client.get(each).status_code == 404)  # type: ignore[misc]
        until(lambda: not client.documents("jobs") and not client.documents("pages"))
