"""The machine's samples of events/ are answered as they say."""

import pytest

from app.batches.machine_start import start_batch
from app.triggers.batch_summary import SummaryTrigger
from app.triggers.distributed_map import DistributedMapTrigger
from app.triggers.scheduled_batch import ScheduledBatchTrigger
from tests.lambda_samples import event
from tests.lambda_samples_machine import EXPECTED_OF_MACHINE, EXPECTED_OF_SCHEDULE, FILES, in_bucket
from tests.machine.conftest import Cloud
from tests.machine.memory_machine import ARN, MemoryMachine, in_the_way
from tests.shells import Context


@pytest.mark.parametrize("name", EXPECTED_OF_MACHINE)
def test_sample(cloud: Cloud, name: str) -> None:
    """The sample gets its answer."""
    for key, body in FILES.items():
        cloud.put(key, body)
    batch = DistributedMapTrigger(cloud.program.predictor, cloud.program.observer, cloud.predict_object)
    found = in_bucket(event(name), cloud.bucket)

    EXPECTED_OF_MACHINE[name]((SummaryTrigger() if "Summary" in found else batch)(found, Context()))


def test_scheduled(cloud: Cloud) -> None:
    """The sample of a schedule starts its execution."""
    for key, body in FILES.items():
        cloud.put(key, body)
    trigger = ScheduledBatchTrigger(lambda asked: start_batch(ARN, asked))
    with in_the_way(MemoryMachine(("SUCCEEDED", {}))):
        EXPECTED_OF_SCHEDULE["scheduled-batch"](trigger(in_bucket(event("scheduled-batch"), cloud.bucket), Context()))
