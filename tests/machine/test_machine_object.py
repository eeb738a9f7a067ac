"""Files of a prefix by the project's own way to predict files."""

import json

from app.batches.files import FilePredictor
from app.batches.machine_object import predict_object
from app.triggers.distributed_map import DistributedMapTrigger
from tests.machine.conftest import Cloud, table
from tests.machine.map_runner import Execution
from tests.shells import Context


def test_files_of_a_prefix(cloud: Cloud) -> None:
    """Each file is predicted into its own folder below the run's, in its own format, once; another execution finds all of it there."""
    cloud.put("in/a.csv", table(3))
    cloud.put("in/deeper/a.csv", table(5, bad=(1,)))
    cloud.put("in/note.txt", b"nothing to predict")
    program = cloud.program
    answering = FilePredictor(program.predictor, program.repository)
    trigger = DistributedMapTrigger(
        program.predictor, program.observer, lambda key, batch, times: predict_object(answering, key, batch, times.run)
    )

    def invoke(event: dict[str, object]) -> object:
        return trigger(event, Context()) if "Items" in event else cloud.invoke(event)

    told = cloud.told("in/", tolerated_failure_percentage=40)
    first = Execution(invoke, told).run()
    objects = cloud.objects()

    assert (3, 2, 1) == (first["rows"], first["answered"], first["failed"])
    lines = [json.loads(line) for key, body in objects.items() if "/parts/" in key for line in body.splitlines()]
    assert [("in/a.csv", 3, 0), ("in/deeper/a.csv", 5, 1)] == [(line["key"], line["rows"], line["failed"]) for line in lines]
    assert [True, True] == [f"{told['output_prefix']}{line['folder']}predictions.csv" in objects for line in lines]
    assert first == Execution(invoke, told).run()
    assert objects == cloud.objects()
