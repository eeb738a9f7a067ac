"""Results in a Firehose stream: a line each, and requests within what Firehose takes."""

import orjson
import pytest

from app.errors import ResultTooLarge
from app.results.firehose import Firehose
from app.results.json_record import record_of
from tests.results.worlds import World, failed, result, some

LARGEST = 1_024_000


def test_a_result_is_a_line(stream: World) -> None:
    """A line is a JSON object with the answer in it, also where the answer was written in several lines."""
    stream.sink.put([result("r1", b'{\r\n  "outputs": {\n "y": "a\\nb" }\n}\n'), failed("r2")])
    first, second = stream.read()

    assert ("r1", 200, {"outputs": {"y": "a\nb"}}) == (first["id"], first["status"], first["answer"])
    assert ("r2", 422, "invalid-request") == (second["id"], second["status"], second["error"]["code"])


def test_many_lines_in_few_requests(stream: World) -> None:
    """Five hundred records go in a request."""
    assert [None] * 1001 == stream.sink.put(some(1001))
    assert 3 == stream.server.asked("PutRecordBatch")
    assert 1001 == len(set(stream.ids()))


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_line(over: int) -> None:
    """A line has at most 1,000 KiB with its end, and one byte more is refused with the size and the limit."""
    rest = len(orjson.dumps(record_of(result("r1", b"1")))) + 1
    body = b"1" + b" " * (LARGEST - rest + over)
    if over:
        with pytest.raises(ResultTooLarge, match=f"has {LARGEST + 1} bytes .* at most {LARGEST}"):
            Firehose._entry(0, result("r1", body))
    else:
        assert LARGEST == len(Firehose._entry(0, result("r1", body)).content["Data"])
