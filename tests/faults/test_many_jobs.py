"""Thousands of jobs while 30 % of the calls to AWS fail: all are accounted for. ``FAULT_JOBS`` and ``FAULT_SEED`` choose how many and which."""

import os
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from app.storage import aws_clients
from tests.faults import crowd
from tests.faults.crowd import SHARE, Crowd
from tests.faults.http_receiver import http_receiver
from tests.faults.moto_cloud import moto_cloud
from tests.faults.noise import Noise
from tests.faults.runs import SEED
from tests.faults.world import World

JOBS = int(os.environ.get("FAULT_JOBS", "10000"))
JOBS_OVER_MOTO = 500
THREADS = 4


def check(found: Crowd, jobs: int) -> None:
    """N1 to N7 of all jobs, and that there was something to bear."""
    print(f"\nseed {SEED}: {found._replace(violations=found.violations[:5])}")
    assert [] == found.violations
    assert jobs == found.accepted == sum(found.states.values())
    assert found.states["succeeded"] > 0.85 * jobs
    assert sum(found.failed.values()) > 0.28 * found.calls
    # Every second caller has a receiver.
    assert found.webhooks >= jobs // 2


def test_a_few_jobs() -> None:
    """Three hundred jobs, of which none is lost and none has two results."""
    check(crowd.in_memory(300, SEED), 300)


@pytest.mark.faults
def test_many_jobs() -> None:
    """Ten thousand jobs, of which none is lost and none has two results."""
    check(crowd.in_memory(JOBS, SEED), JOBS)


@pytest.mark.faults
def test_jobs_over_moto() -> None:
    """Five hundred jobs over moto by HTTP, with callers, workers and senders in four threads at once."""
    answers = crowd.oracle()
    with moto_cloud() as cloud, http_receiver(cloud.status_of) as (receiver, url), pytest.MonkeyPatch.context() as patch:
        noise = Noise(cloud.send, SEED, SHARE)
        patch.setattr(aws_clients, "_PAUSE_S", 0.0)
        patch.setattr(aws_clients, "send", noise.send)

        def world() -> World:
            made = World(cloud, cloud.clock, receiver=receiver, url=url)
            made.points = noise  # type: ignore[assignment]
            return made

        def part(number: int) -> World:
            mine, chance = world(), Random(SEED + number)
            for job in range(number, JOBS_OVER_MOTO, THREADS):
                crowd.act(mine, job, chance)
            return mine

        everyone = world()
        with ThreadPoolExecutor(THREADS) as threads:
            for mine in threads.map(part, range(THREADS)):
                everyone.accepted |= mine.accepted
                everyone.cancelled |= mine.cancelled
            # Two pollers a queue at once, as Lambda has.
            workers = [world() for _ in range(THREADS)]
            for _ in range(40):
                list(threads.map(lambda worker: (worker.poll("jobs"), worker.poll("webhooks")), workers))
                everyone.sweep()
                cloud.clock.advance(60)
                if everyone.is_quiet():
                    break
        violations = [] if everyone.is_quiet() else ["it never came to rest"]
        for ask in everyone.accepted:
            crowd.read_result(everyone, ask)
        check(crowd.told(everyone, answers, violations, noise), JOBS_OVER_MOTO)
