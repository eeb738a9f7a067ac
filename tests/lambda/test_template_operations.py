"""What template.yaml watches: alarms, each explained in docs/operations.md, and a dashboard of metrics that the program writes."""

import json
import re
from typing import Any

import pytest

from tests.event_parameters import EVERYTHING
from tests.template import ROOT, expanded, of_type, written
from tests.template_values import Values, made

PAGE = (ROOT / "docs" / "operations.md").read_text()
WATCHED = {**EVERYTHING, "Jobs": "on", "Alarms": "on"}
OPERATORS = {"GreaterThanThreshold", "LessThanThreshold"}
# app/report.py, app/observability.py and app/job_wiring.py write these.
OURS = {
    "ServerErrors",
    "ModelLoadFailures",
    "SweepErrors",
    "JobsEnded",
    "Predictions",
    "BatchSize",
    "Errors",
    "ColdStart",
    "ColdStartImport",
    "ColdStartLoad",
    "ColdStartWarmUp",
    "DecodeLatency",
    "RunLatency",
    "EncodeLatency",
}


def alarms(**parameters: str) -> dict[str, Any]:
    return of_type(made(**parameters), "AWS::CloudWatch::Alarm")


def slug(alarm: dict[str, Any]) -> str:
    """An alarm's name without the stack's."""
    name = alarm["AlarmName"]["Fn::Sub"]
    assert name.startswith("${AWS::StackName}-")
    return str(name.removeprefix("${AWS::StackName}-"))


def watching(**parameters: str) -> dict[str, dict[str, Any]]:
    """Alarms by what they are called."""
    return {slug(one): one for one in alarms(**parameters).values()}


def sections() -> dict[str, str]:
    """The page's sections about alarms."""
    return dict(re.findall(r"^### `([a-z0-9-]+)`\n(.*?)(?=^##)", f"{PAGE}\n##", re.MULTILINE | re.DOTALL))


def test_each_alarm_is_on_the_page() -> None:
    """The page has a section for each alarm of the template and for none else, with what it means and what to do."""
    every = {slug(one) for one in of_type(expanded(), "AWS::CloudWatch::Alarm").values()}

    assert every == set(sections())
    assert every == set(watching(**WATCHED))
    for name, text in sections().items():
        assert "**Means:**" in text, name
        assert "**Do:**" in text, name


def test_alarms_are_off_unless_asked_for() -> None:
    """By themselves the parameters make no alarm, no topic and no dashboard, and each part brings its own only where it is on."""
    kinds = {one["Type"] for one in made().values()}

    assert not {kind for kind in kinds if kind.startswith(("AWS::CloudWatch", "AWS::SNS"))}
    assert {"api-5xx", "server-errors", "model-not-loaded", "crashes", "latency-p99", "throttles"} == watching(Alarms="on").keys()
    assert {"jobs-dead", "webhooks-dead", "jobs-waiting", "webhooks-waiting", "sweeper-silent", "sweep-errors", "worker-errors"} == (
        watching(Alarms="on", Jobs="on").keys() - watching(Alarms="on").keys()
    )


def test_every_alarm_is_heard() -> None:
    """Each alarm tells the topic when it begins and when it is over: the stack's own, or the one that is named."""
    own = {"Ref": "AlarmTopic"}
    named = watching(**WATCHED, AlarmTopicName="pager")

    assert all([own] == one["AlarmActions"] == one["OKActions"] for one in watching(**WATCHED).values())
    assert all(["arn:aws:sns:eu-west-1:123456789012:pager"] == one["AlarmActions"] for one in named.values())
    assert "AlarmTopic" not in made(**WATCHED, AlarmTopicName="pager")
    topics = [made(**WATCHED, AlarmEmail=address)["AlarmTopic"]["Properties"] for address in ("me@example.com", "")]
    assert [{"Protocol": "email", "Endpoint": "me@example.com"}] == topics[0]["Subscription"]
    assert "Subscription" not in topics[1]


def test_topic_is_cloudwatchs_alone() -> None:
    """Only alarms of the stack may publish, of the account, and by TLS."""
    deny, allow = made(Alarms="on")["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert {"Bool": {"aws:SecureTransport": "false"}} == deny["Condition"]
    assert {"Service": "cloudwatch.amazonaws.com"} == allow["Principal"]
    assert "123456789012" == allow["Condition"]["StringEquals"]["aws:SourceAccount"]
    assert str(allow["Condition"]["ArnLike"]["aws:SourceArn"]).count("${AWS::StackName}-*") == 1


def test_every_queue_of_dead_letters_is_watched() -> None:
    """Whatever takes dead letters, or what failed for good, has an alarm at the first message."""
    resources = made(**WATCHED)
    dead = {name for name in of_type(resources, "AWS::SQS::Queue") if "Dead" in name or "Failures" in name}
    found = {one["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: one for one in alarms(**WATCHED).values() if is_depth(one)}

    assert dead == found.keys()
    assert all((0, 1, "Maximum") == (one["Threshold"], one["DatapointsToAlarm"], one["Statistic"]) for one in found.values())


def is_depth(alarm: dict[str, Any]) -> bool:
    return bool(alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible")


def test_waiting_messages_are_seen_after_their_retries() -> None:
    """Every queue that a function works off has an alarm at twice the time after which a message that failed comes again."""
    resources = made(**WATCHED)
    worked = {
        one["EventSourceArn"]["Fn::GetAtt"][0] for one in of_type(resources, "AWS::Lambda::EventSourceMapping").values() if queue(one)
    }
    found = {
        one["Dimensions"][0]["Value"]["Fn::GetAtt"][0]: one["Threshold"]
        for one in alarms(**WATCHED).values()
        if one.get("MetricName") == "ApproximateAgeOfOldestMessage"
    }

    assert worked == found.keys()
    for name, threshold in found.items():
        assert threshold >= 2 * resources[name]["Properties"]["VisibilityTimeout"], name


def queue(mapping: dict[str, Any]) -> bool:
    return isinstance(mapping["EventSourceArn"], dict) and "Fn::GetAtt" in mapping["EventSourceArn"]


def test_silence_of_the_sweeper_is_news() -> None:
    """A sweeper that is not invoked has no metric, and one that only raises has ended nothing: both alarm within minutes."""
    alarm = watching(**WATCHED)["sweeper-silent"]
    metrics = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]

    assert ("breaching", "LessThanThreshold", 1) == (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"])
    assert ["Invocations", "Errors"] == [one["MetricName"] for one in metrics]
    assert [[{"Name": "FunctionName", "Value": {"Ref": "JobsSweeper"}}]] * 2 == [one["Dimensions"] for one in metrics]
    assert {"notBreaching"} == {one["TreatMissingData"] for name, one in watching(**WATCHED).items() if name != "sweeper-silent"}


@pytest.mark.parametrize(
    ("source", "name", "metric"), [("KinesisArn", "stream-behind", "IteratorAge"), ("KafkaClusterArn", "topic-behind", "OffsetLag")]
)
def test_streams_that_fall_behind(source: str, name: str, metric: str) -> None:
    """What a stream's reader is behind by is watched where there is a stream."""
    parameters = {"Alarms": "on", "Events": "on", source: EVERYTHING[source]}

    assert metric == watching(**parameters)[name]["MetricName"]
    assert name not in watching(Alarms="on", Events="on")


def test_every_function_is_watched() -> None:
    """Throttles are added up over every function there is, and errors over all that no caller waits for."""
    functions = set(of_type(made(**WATCHED), "AWS::Lambda::Function"))

    def of(name: str) -> set[str]:
        metrics = watching(**WATCHED)[name]["Metrics"]
        return {one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"] for one in metrics if "MetricStat" in one}

    assert functions == of("throttles")
    assert functions - {"OnnxLambda"} == of("worker-errors")


def test_api_is_watched_whichever_it_is() -> None:
    """The metrics of a REST API have other names than those of an HTTP API."""

    def metrics(kind: str) -> list[Any]:
        found = watching(Alarms="on", ApiType=kind)["api-5xx"]["Metrics"]
        return [
            (one["MetricStat"]["Metric"]["MetricName"], one["MetricStat"]["Metric"]["Dimensions"]) for one in found if "MetricStat" in one
        ]

    http, rest = [{"Name": "ApiId", "Value": {"Ref": "Api"}}], [{"Name": "ApiName", "Value": {"Ref": "AWS::StackName"}}]
    assert [("5xx", http), ("Count", http)] == metrics("HTTP")
    assert [("5XXError", rest), ("Count", rest)] == metrics("REST")


def test_alarms_are_well_formed() -> None:
    """Each alarm compares, has as many datapoints as it looks at or fewer, and returns one metric."""
    for name, one in watching(**WATCHED).items():
        assert one["ComparisonOperator"] in OPERATORS, name
        assert 1 <= one["DatapointsToAlarm"] <= one["EvaluationPeriods"], name
        if "Metrics" in one:
            assert 1 == sum(metric.get("ReturnData", True) for metric in one["Metrics"]), name
        else:
            assert one["Dimensions"], name


def body(**parameters: str) -> dict[str, Any]:
    """The dashboard, with names of resources as they stand in the template."""
    found = made(Dashboard="on", **parameters)["Overview"]["Properties"]["DashboardBody"]
    text, values = (found["Fn::Sub"], {}) if not isinstance(found["Fn::Sub"], list) else found["Fn::Sub"]
    known = {name: value for name, value in Values(parameters).value(values).items() if isinstance(value, str)}
    replaced = re.sub(r"\$\{([^}]+)\}", lambda one: known.get(one[1], one[1]), text)
    dashboard: dict[str, Any] = json.loads(replaced)
    return dashboard


def test_dashboard_shows_what_was_asked_for() -> None:
    """The dashboard is JSON with a place of its own for each subject, none over another."""
    widgets = body()["widgets"]
    titles = {one["properties"]["title"] for one in widgets}
    places = [(one["x"], one["y"]) for one in widgets]

    assert {
        "Traffic",
        "Latency of the API",
        "Latency by phase, p99 in ms",
        "Cold starts",
        "Parts of a cold start, average in ms",
        "Errors by code",
        "Batch sizes",
        "Jobs by state",
        "Cost of a thousand predictions, USD",
    } == titles
    assert len(places) == len(set(places))
    assert all(one["x"] + one["width"] <= 24 for one in widgets)


def test_dashboard_knows_the_programs_metrics() -> None:
    """Whatever the dashboard and the alarms look for in our namespace is a metric that the program writes."""
    searched = set(re.findall(r'MetricName=\\?"(\w+)', json.dumps(body())))
    alarmed = {one["MetricName"] for one in alarms(**WATCHED).values() if one.get("Namespace") == "onnx-lambda"}

    assert OURS == searched | alarmed


def test_cost_is_of_the_functions_memory() -> None:
    """The cost of a thousand predictions is Lambda's time by its memory and processor, its invokes and the API's requests."""
    memory = written()["Resources"]["OnnxLambda"]["Properties"]["MemorySize"]

    def cost(**parameters: str) -> str:
        (widget,) = [one["properties"] for one in body(**parameters)["widgets"] if one["properties"]["title"].startswith("Cost")]
        return str(widget["metrics"][-1][0]["expression"])

    assert f"duration / 1000 * {memory} / 1024 * 0.0000166667" in cost()
    assert "0.0000133334" in cost(Architecture="arm64")
    assert "requests * 0.000001)" in cost()
    assert "requests * 0.0000035)" in cost(ApiType="REST")


def test_commands_name_what_there_is() -> None:
    """Every output that the page reads is an output of the template, and every parameter that it sets is one."""
    outputs = set(re.findall(r"\$\{?([A-Z][A-Za-z]+)\}?", "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))))
    parameters = set(re.findall(r"\b([A-Z][A-Za-z]+)=(?:on|off|\d|AllAtOnce|Canary|\")", PAGE))

    assert outputs <= written()["Outputs"].keys()
    assert parameters
    assert parameters <= written()["Parameters"].keys()
