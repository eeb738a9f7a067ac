"""What the functions of events may do: what they work with, and nothing else."""

import re
from typing import Any

import pytest

from app.errors import SettingError
from app.results.places import check_target
from app.settings import Settings, from_environment
from tests.event_parameters import ACCOUNT, BUS, EVERYTHING, SOURCES, STREAM, granted, properties
from tests.policies import ALL_ROLES, ROLES_OF_EVENTS, Call, allows, targets
from tests.template import of_type, written
from tests.template_values import made

# Where AWS knows no narrower resource: Lambda's pollers in the network of a Kafka cluster, and the deliveries of a machine's logs.
WILDCARDS = {"ec2:", "logs:"}


@pytest.fixture(name="resources", scope="module")
def _resources() -> dict[str, Any]:
    """The resources that CloudFormation makes where everything of events is asked for, and nothing of jobs."""
    return made(**EVERYTHING)


@pytest.mark.parametrize(
    ("place", "allowed", "variable"),
    [
        ("", ("sqs:SendMessage", "ResultsQueue"), {"Ref": "ResultsQueue"}),
        ("s3://results/", ("s3:PutObject", "results/*"), "s3://results/"),
        ("s3://results/of/flowers/", ("s3:PutObject", "results/of/flowers/*"), "s3://results/of/flowers/"),
        (BUS, ("events:PutEvents", "flowers"), BUS),
        (STREAM, ("firehose:PutRecordBatch", "flowers"), STREAM),
    ],
)
def test_place_of_results(place: str, allowed: tuple[str, str], variable: Any) -> None:
    """The worker is told where its results go, and may do there the one thing that puts them there."""
    parameters = {"Events": "on", "ResultsTo": place}
    resources = made(**parameters)
    others = granted("RecordsWorker", {"Events": "on", "ResultsTo": BUS}) & granted("RecordsWorker", {"Events": "on"})

    assert variable == properties(resources, "RecordsWorker")["Environment"]["Variables"]["RESULTS_TO"]
    assert {allowed} == granted("RecordsWorker", parameters) - others
    assert ("ResultsQueue" in resources) == (not place)


@pytest.mark.parametrize(
    "place", ["s3://results/x", "s3://results", "https://results/", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q", "s3://r/*/", "?"]
)
def test_places_that_are_none(place: str) -> None:
    """What the worker would not start with is refused when the stack is made."""
    pattern = written()["Parameters"]["ResultsTo"]["AllowedPattern"]

    assert not re.fullmatch(pattern, place)
    if "*" not in place:
        with pytest.raises(SettingError):
            check_target(place, "RESULTS_TO")


def test_worker_reads_and_replies_where_it_is_told() -> None:
    """The queue for replies and the bucket of inputs are told to the worker with their permissions, and without them there is neither."""
    named = {"ReplyQueueUrl": SOURCES["ReplyQueueUrl"], "InputBucket": "inputs"}
    variables = properties(made(Events="on", **named), "RecordsWorker")["Environment"]["Variables"]

    assert (SOURCES["ReplyQueueUrl"], "inputs") == (variables["REPLY_QUEUE_URLS"], variables["INPUT_BUCKETS"])
    assert {
        ("sqs:SendMessage", "replies"),
        ("s3:GetObject", "inputs/*"),
        ("s3:GetObjectVersion", "inputs/*"),
        ("s3:ListBucket", "inputs"),
    } == granted("RecordsWorker", {"Events": "on", **named}) - granted("RecordsWorker", {"Events": "on"})


def test_no_statement_has_a_wildcard(resources: dict[str, Any]) -> None:
    """No role has an action or a resource that is a wildcard, but for what is below a prefix or a name, and where AWS knows nothing else."""
    documents = [policy["PolicyDocument"] for role in of_type(resources, "AWS::IAM::Role").values() for policy in role["Policies"]]
    documents += [policy["PolicyDocument"] for policy in of_type(resources, "AWS::IAM::RolePolicy").values()]
    for one in [one for document in documents for one in document["Statement"]]:
        assert not any("*" in action for action in one["Action"])
        if one["Resource"] == "*":
            assert {action[: action.index(":") + 1] for action in one["Action"]} <= WILDCARDS
            continue
        assert not [target for target in targets(one) if "*" in target.removesuffix("/*").removesuffix(":*")]


@pytest.mark.parametrize(
    ("function", "action", "resource"),
    [
        ("RecordsWorker", "sqs:SendMessage", "RequestsQueue"),
        ("RecordsWorker", "sqs:ReceiveMessage", "ResultsQueue"),
        ("RecordsWorker", "s3:GetObject", "InboxBucket/inbox/a.csv"),
        ("InboxWorker", "s3:PutObject", "InboxBucket/inbox/a.csv"),
        ("InboxWorker", "s3:DeleteObject", "InboxBucket/inbox/a.csv"),
        ("InboxWorker", "s3:GetObject", "InboxBucket/batches/a.csv"),
        ("InboxWorker", "sqs:ReceiveMessage", "RequestsQueue"),
        ("BatchWorker", "s3:PutObject", "InboxBucket/inbox/a.csv"),
        ("BatchWorker", "sqs:ReceiveMessage", "InboxQueue"),
        ("OnnxLambda", "s3:GetObject", "InboxBucket/inbox/a.csv"),
        ("OnnxLambda", "sqs:SendMessage", "RequestsQueue"),
    ],
)
def test_roles_are_denied_what_is_not_theirs(function: str, action: str, resource: str) -> None:
    """A function that was taken over reads and writes nothing but what it works with."""
    assert not allows(function, Call(function, action, resource), EVERYTHING)


def test_nobody_of_events_reaches_jobs() -> None:
    """The functions of events have no right to the table, the bucket and the queues of jobs."""
    everything = {**EVERYTHING, "Jobs": "on"}
    reached = {target.partition("/")[0] for function in ROLES_OF_EVENTS for _, target in granted(function, everything)}

    assert not [name for name in reached if name.startswith(("Jobs", "Webhook"))]
    assert ALL_ROLES.keys() == of_type(made(**everything), "AWS::Lambda::Function").keys()


def test_environments_are_settings() -> None:
    """Every variable of a function is a setting that takes the template's value."""
    for name, function in of_type(made(**EVERYTHING), "AWS::Lambda::Function").items():
        variables = {
            variable: value if isinstance(value, str) else "named" for variable, value in function["Environment"]["Variables"].items()
        }
        assert {variable.lower() for variable in variables} <= set(Settings._fields), name
        from_environment({"AWS_LAMBDA_FUNCTION_NAME": name, **variables})


@pytest.mark.parametrize("name", [*SOURCES, "ResultsTo"])
def test_sources_are_checked_when_the_stack_is_made(name: str) -> None:
    """Each parameter takes what it is for, and neither something else nor a wildcard, which would widen a role."""
    pattern = written()["Parameters"][name]["AllowedPattern"]
    good = SOURCES.get(name, BUS)

    assert re.fullmatch(pattern, "")
    assert re.fullmatch(pattern, good)
    assert not re.fullmatch(pattern, f"{good}*")
    assert not re.fullmatch(pattern, "*")
