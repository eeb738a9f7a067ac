"""What holds for topics, streams and buses alike: whose an event is, and which records of it must come again."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.triggers import direct, schedule, sqs
from app.triggers.records import Record
from tests import lambda_samples
from tests.lambda_samples_streams import EXPECTED_OF_STREAMS
from tests.shells import Context
from tests.triggers.stream_events import RECOGNISERS, STREAMS, Engine, Source, named, until_the_deadline

BODIES = [f"request {place}".encode() for place in range(10)]
# Neither base64 nor a value of DynamoDB's is what this becomes.
UNREADABLE = b"\xf3\x89\x9a\xc2 put together by a producer"
ALL = [*{recognises for recognises, _ in RECOGNISERS.values()}, direct.is_direct, schedule.is_ping, schedule.is_sweep, sqs.is_delivery]
WINDOW = {
    "window": {"start": "2026-11-22T09:30:00Z", "end": "2026-11-22T09:32:00Z"},
    "state": {},
    "shardId": "shardId-000000000006",
    "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
    "isFinalInvokeForWindow": False,
    "isWindowTerminatedEarly": False,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# What other sources have on their outside.
FOREIGN = ["requestContext", "Records", "records", "window", "state", "isFinalInvokeForWindow", "Items", "inputs", "warmup", "httpMethod"]


@pytest.fixture(params=STREAMS)
def source(request: pytest.FixtureRequest) -> Source:
    """Each source whose answer names the records that failed."""
    return STREAMS[request.param]


def run(source: Source, engine: Any, bodies: list[bytes], context: Any = None) -> Any:
    return source.trigger(engine)(source.event(bodies), context or Context())


def ordered(identifiers: list[Any]) -> list[Any]:
    return sorted(identifiers, key=str)


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_that_fail_are_named(source: Source, k: int) -> None:
    """Of ten records exactly those that failed are named, be it none or all of them, and all are given to the engine at once."""
    engine = Engine([source.record_id(place) for place in range(10 - k, 10)])
    answer = run(source, engine, BODIES)

    assert ordered([source.identifier(place) for place in range(10 - k, 10)]) == ordered(named(answer))
    assert [10] == [len(call) for call in engine.calls]


@pytest.mark.parametrize("k", range(11))
def test_k_of_ten_that_nobody_can_read_are_named(k: int) -> None:
    """Of ten records the k in which no request can be found are named and given to the engine as such, beside the others."""
    for name in ("kinesis", "dynamodb"):
        source, engine = STREAMS[name], Engine()
        answer = run(source, engine, [UNREADABLE] * k + BODIES[k:])

        assert [source.identifier(place) for place in range(k)] == named(answer)
        assert [source.record_id(place) for place in range(k, 10)] == [record.id for record in engine.records]
        assert [source.record_id(place) for place in range(k)] == list(engine.refused)


def test_what_comes_after_a_failed_record_is_answered(source: Source) -> None:
    """A record that failed keeps none after it from being answered, as Lambda may give up on all of them together."""
    engine = Engine([source.record_id(0)])

    assert [source.identifier(0)] == named(run(source, engine, BODIES))
    assert {source.record_id(place) for place in range(10)} == {record.id for record in engine.records}
    assert {""} == {record.group for record in engine.records}


@pytest.mark.parametrize("done", range(11))
def test_deadline_in_the_middle(source: Source, done: int) -> None:
    """What was not answered in time must come again, and nothing else."""
    assert 10 - done == len(named(run(source, until_the_deadline(done), BODIES)))


def test_delivered_again_a_record_has_its_id(source: Source) -> None:
    """A record is given to the engine under the same id at each delivery, so that its result can be known again."""
    engine = Engine()
    for _ in range(2):
        run(source, engine, BODIES)

    assert engine.calls[0] == engine.calls[1]
    assert 10 == len({record.id for record in engine.calls[0]})


def test_an_engine_that_forgets_a_record_fails_the_delivery(source: Source) -> None:
    """Outcomes that are fewer than the records fail the invocation, so that none passes for done."""
    with pytest.raises(ValueError, match="10 records were to be answered, and 9 outcomes"):
        run(source, lambda records, times: [None] * 9, BODIES)


def test_an_error_of_ours_fails_the_invocation(source: Source) -> None:
    """What the engine raises is not swallowed: Lambda keeps all records then."""

    def fails(records: Any, times: Any) -> Any:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run(source, fails, BODIES)


def test_time_is_left_to_write_down_what_was_done(source: Source) -> None:
    """The engine hears of Lambda's own deadline."""
    engine = Engine()
    run(source, engine, BODIES, Context(100_000))

    assert engine.times[0].write - engine.times[0].run > 5


@pytest.mark.parametrize("name", RECOGNISERS)
def test_an_event_is_of_one_source(name: str) -> None:
    """Exactly one recogniser knows an event."""
    recognises, event = RECOGNISERS[name]

    assert [recognises] == [one for one in ALL if one(event())]


@pytest.mark.parametrize("sample", sorted(path.stem for path in lambda_samples.FOLDER.iterdir()))
def test_samples_are_of_one_source(sample: str) -> None:
    """The samples of these sources are known to exactly one recogniser here, and those of others to none."""
    of_streams = {recognises for recognises, _ in RECOGNISERS.values()}
    known = [one for one in of_streams if one(lambda_samples.event(sample))]

    assert (1 if sample in EXPECTED_OF_STREAMS else 0) == len(known)


@pytest.mark.parametrize("name", RECOGNISERS)
@given(member=st.sampled_from(FOREIGN) | st.text(max_size=12), value=JSON)
def test_nothing_may_stand_beside(name: str, member: str, value: Any) -> None:
    """A member more on an event's outside makes it nobody's."""
    recognises, event = RECOGNISERS[name]
    changed = {member: value, **event()}
    if member not in event() and member not in ("replay-name", "eventSourceArn"):
        assert not recognises(changed)
        assert not any(one(changed) for one in ALL)


@pytest.mark.parametrize("name", RECOGNISERS)
@given(data=st.data())
def test_nothing_may_be_missing(name: str, data: st.DataObject) -> None:
    """An event without one of its members is nobody's, but for the servers of an MSK cluster, which were not always told."""
    recognises, event = RECOGNISERS[name]
    changed = event()
    member = data.draw(st.sampled_from(sorted(changed)))
    del changed[member]

    assert (name == "kafka" and member == "bootstrapServers") == recognises(changed)


@given(value=JSON)
def test_no_other_json_is_taken(value: Any) -> None:
    """Any other JSON is no event of theirs, and nothing is raised over it."""
    for recognises, _ in RECOGNISERS.values():
        assert not recognises(value)
        assert not recognises({"Records": value})
        assert not recognises({"Records": [value]})
        assert not recognises({"eventSource": "SelfManagedKafka", "bootstrapServers": "", "records": value})


@pytest.mark.parametrize("name", ["sns", "kinesis", "dynamodb"])
@pytest.mark.parametrize("other", ["sns", "kinesis", "dynamodb"])
def test_records_of_two_sources(name: str, other: str) -> None:
    """Records of two sources in one event, or the members of two in one record, are nobody's."""
    event, second = RECOGNISERS[name][1](), RECOGNISERS[other][1]()
    together = {"Records": event["Records"] + second["Records"]}
    merged = {"Records": [second["Records"][0] | event["Records"][0]]}

    assert ([] if name != other else [RECOGNISERS[name][0]]) == [one for one in ALL if one(together)]
    assert ([] if name != other else [RECOGNISERS[name][0]]) == [one for one in ALL if one(merged)]


@pytest.mark.parametrize("name", ["sns", "kinesis", "dynamodb"])
@pytest.mark.parametrize("member", ["body", "s3", "eventSource", "EventSource", "dynamodb", "kinesis", "Sns"])
def test_a_record_of_two_sources(name: str, member: str) -> None:
    """A record that has another source's member beside its own is nobody's."""
    recognises, event = RECOGNISERS[name]
    changed = event()
    if member not in changed["Records"][-1]:
        changed["Records"][-1][member] = {}

        assert not any(one(changed) for one in [recognises, *ALL])


@pytest.mark.parametrize("name", ["sns", "kinesis", "dynamodb"])
def test_a_member_that_is_new(name: str) -> None:
    """A record may have a member that nobody knows yet, as AWS adds such without asking."""
    recognises, event = RECOGNISERS[name]
    changed = event()
    changed["Records"][0]["somethingOfNextYear"] = True

    assert recognises(changed)


@pytest.mark.parametrize("name", ["kinesis", "dynamodb"])
def test_tumbling_windows_are_refused(name: str) -> None:
    """A stream's tumbling window is nobody's, also at its end, where it brings no records."""
    recognises, event = RECOGNISERS[name]
    for records in (event()["Records"], []):
        changed = {"Records": records, **copy.deepcopy(WINDOW)}

        assert not any(one(changed) for one in [recognises, *ALL])


@pytest.mark.parametrize(
    ("name", "holder", "member"),
    [
        ("sns", "Sns", "MessageId"),
        ("sns", "Sns", "Message"),
        ("kinesis", "kinesis", "sequenceNumber"),
        ("kinesis", "kinesis", "data"),
        ("dynamodb", "dynamodb", "SequenceNumber"),
    ],
)
@given(value=JSON)
def test_what_names_a_record_must_be_there(name: str, holder: str, member: str, value: Any) -> None:
    """A record whose name or content is missing, or is no text, is nobody's; so no empty identifier is ever answered."""
    recognises, event = RECOGNISERS[name]
    changed = event()
    if not isinstance(value, str) or (value == "" and member not in ("Message", "data")):
        changed["Records"][-1][holder][member] = value
        assert not recognises(changed)
    del changed["Records"][-1][holder][member]

    assert not recognises(changed)


def test_records_are_as_their_sources_name_them() -> None:
    """The engine hears by which way a record came."""
    for name, source in STREAMS.items():
        engine = Engine()
        run(source, engine, BODIES[:1])
        (record,) = engine.records

        assert isinstance(record, Record)
        assert name == record.source
