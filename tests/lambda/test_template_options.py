"""Optional parts of template.yaml: each off by itself, each made by its parameter, and no combination that AWS refuses."""

import re
from typing import Any

import pytest

from tests.event_parameters import EVERYTHING
from tests.policies import ALL_ROLES
from tests.template import expanded, of_type, parsed, written
from tests.template_values import Values, made

ACCOUNT = "123456789012"
CERTIFICATE = f"arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/0a1b2c3d"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0a1b2c3d"
PROVIDER = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:capacity-provider:models"
DOMAIN = {"DomainName": "predict.example.com", "CertificateArn": CERTIFICATE}
NETWORK = {"VpcSubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d", "VpcSecurityGroupIds": "sg-0a1b2c3d"}
ALL = {**EVERYTHING, "Jobs": "on", "ResultsTo": ""}
OPTIONS: list[dict[str, str]] = [
    {"ProvisionedConcurrency": "2"},
    {"ReservedConcurrency": "50"},
    DOMAIN,
    NETWORK,
    {"Architecture": "arm64"},
    {"TenantIsolation": "on"},
    {"CapacityProviderArn": PROVIDER},
    {"KeyArn": KEY},
    {"Dashboard": "on"},
    {"Alarms": "on"},
]


def properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources[name]["Properties"]
    return found


def refused(**parameters: str) -> list[str]:
    """What the rules say against parameters."""
    values = Values(parameters)
    rules = [rule for rule in written()["Rules"].values() if "RuleCondition" not in rule or values.value(rule["RuleCondition"])]
    return [one["AssertDescription"] for rule in rules for one in rule["Assertions"] if not values.value(one["Assert"])]


@pytest.mark.parametrize("option", OPTIONS, ids=min)
def test_options_are_off_and_taken(option: dict[str, str]) -> None:
    """An option changes something where it is asked for, nothing of it is there otherwise, and no rule is against it."""
    assert made() != made(**option)
    assert [] == refused(**option)
    kinds = {one["Type"] for one in made().values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::ApplicationAutoScaling", "AWS::CloudWatch", "AWS::SNS", "AWS::Route53"))}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"DomainName": "predict.example.com"}, "DomainName and CertificateArn go together"),
        ({"CertificateArn": CERTIFICATE}, "DomainName and CertificateArn go together"),
        ({"HostedZoneId": "Z0123456789"}, "HostedZoneId is where DomainName is entered"),
        ({"VpcSubnetIds": "subnet-0a1b2c3d"}, "VpcSubnetIds and VpcSecurityGroupIds go together"),
        ({"VpcSecurityGroupIds": "sg-0a1b2c3d"}, "VpcSubnetIds and VpcSecurityGroupIds go together"),
        ({"AlarmEmail": "me@example.com"}, "Set Alarms=on as well"),
        ({"AlarmTopicName": "pager"}, "Set Alarms=on as well"),
        ({"Alarms": "on", "AlarmTopicName": "pager", "AlarmEmail": "me@example.com"}, "leave AlarmEmail empty"),
        ({"ReservedConcurrency": "0", "ProvisionedConcurrency": "1"}, "Set ProvisionedConcurrency=0"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(parameters: dict[str, str], said: str) -> None:
    """A combination that cannot work is refused before anything is made, with what to do instead."""
    (sentence,) = refused(**parameters)

    assert said in sentence


def test_provisioned_concurrency_scales() -> None:
    """What is kept ready is the alias', from the least to the most, is made at once and follows its use; CloudFormation leaves it alone."""
    resources = made(ProvisionedConcurrency="2", ProvisionedConcurrencyMax="20")
    target, policy = properties(resources, "ProvisionedTarget"), properties(resources, "ProvisionedPolicy")
    (action,) = target["ScheduledActions"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]

    assert ("2", "20") == (target["MinCapacity"], target["MaxCapacity"])
    assert {"MinCapacity": "2", "MaxCapacity": "20"} == action["ScalableTargetAction"]
    assert ("lambda", "lambda:function:ProvisionedConcurrency") == (target["ServiceNamespace"], target["ScalableDimension"])
    assert "OnnxLambdaAliaslive" in str(target["ResourceId"])
    assert "LambdaProvisionedConcurrencyUtilization" == tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert 0 < tracking["TargetValue"] < 1
    assert "ProvisionedConcurrencyConfig" not in properties(resources, "OnnxLambdaAliaslive")


def test_reserved_concurrency_is_the_apis_alone() -> None:
    """The limit is the API's function's, with 0 as well; workers are limited at their queues, where nothing is refused."""
    assert "50" == properties(made(ReservedConcurrency="50"), "OnnxLambda")["ReservedConcurrentExecutions"]
    assert "0" == properties(made(ReservedConcurrency="0"), "OnnxLambda")["ReservedConcurrentExecutions"]
    functions = of_type(made(**ALL, ReservedConcurrency="50"), "AWS::Lambda::Function")
    assert ["OnnxLambda"] == [name for name, one in functions.items() if "ReservedConcurrentExecutions" in one]


def test_every_queue_has_a_most() -> None:
    """Each mapping of a queue says how many environments it may fill."""
    mappings = of_type(made(**ALL), "AWS::Lambda::EventSourceMapping").values()
    of_queues = [one for one in mappings if "Queue" in str(one["EventSourceArn"])]

    assert 4 == len(of_queues)
    assert all(2 <= one["ScalingConfig"]["MaximumConcurrency"] <= 1000 for one in of_queues)


@pytest.mark.parametrize("kind", ["HTTP", "REST"])
def test_domain_takes_the_place_of_the_default_endpoint(kind: str) -> None:
    """With a name of its own the API is reached by TLS 1.2 and newer at that name alone."""
    resources = made(**DOMAIN, ApiType=kind)
    domain, mapping = properties(resources, "Domain"), properties(resources, "DomainMapping")
    api = "Api" if kind == "HTTP" else "RestApi"

    assert [{"CertificateArn": CERTIFICATE, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}] == domain["DomainNameConfigurations"]
    assert ({"Ref": api}, {"Ref": "Domain"}) == (mapping["ApiId"], mapping["DomainName"])
    assert written()["Resources"][api]["Properties"]["DisableExecuteApiEndpoint"] == {"Fn::If": ["DomainOn", True, False]}
    assert "DomainRecords" not in resources
    assert Values(DOMAIN).value(written()["Outputs"]["ApiUrl"]["Value"]) == "https://predict.example.com"


def test_domain_is_entered_in_its_zone() -> None:
    """Where Route 53 keeps the zone, the name gets addresses of both kinds there."""
    records = properties(made(**DOMAIN, HostedZoneId="Z0123456789"), "DomainRecords")

    assert "Z0123456789" == records["HostedZoneId"]
    assert ["A", "AAAA"] == [one["Type"] for one in records["RecordSets"]]
    assert {DOMAIN["DomainName"]} == {one["Name"] for one in records["RecordSets"]}


def test_network() -> None:
    """Every function is in the subnets, and each role may have interfaces made for it there, which its code may not."""
    resources = made(**ALL, **NETWORK, TenantIsolation="on")
    policy = properties(resources, "VpcPolicy")
    *allowed, denied = policy["PolicyDocument"]["Statement"]
    roles = {**ALL_ROLES, "TenantFunction": "TenantRole"}

    assert roles.keys() == of_type(resources, "AWS::Lambda::Function").keys()
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        assert {
            "SubnetIds": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"],
            "SecurityGroupIds": ["sg-0a1b2c3d"],
        } == function["VpcConfig"], name
    # Its name is what makes the functions wait for it.
    assert "${VpcPolicy}" in str(written()["Globals"]["Function"]["VpcConfig"])
    assert [{"Ref": role} for role in roles.values()] == policy["Roles"]
    assert ({"Allow"}, "Deny") == ({one["Effect"] for one in allowed}, denied["Effect"])
    assert {action for one in allowed for action in one["Action"]} == set(denied["Action"])
    assert {"Null": {"lambda:SourceFunctionArn": "false"}} == denied["Condition"]
    assert not any("VpcConfig" in one for one in of_type(made(**ALL), "AWS::Lambda::Function").values())


def test_architecture_is_that_of_every_function() -> None:
    """One parameter has all functions run on arm64."""
    functions = of_type(made(**ALL, Architecture="arm64", CapacityProviderArn=PROVIDER), "AWS::Lambda::Function").values()

    assert {"arm64"} == {architecture for one in functions for architecture in one["Architectures"]}
    assert {"x86_64"} == {
        architecture for one in of_type(made(), "AWS::Lambda::Function").values() for architecture in one["Architectures"]
    }


def test_tenants() -> None:
    """One more function has environments of tenants, without a condition that `sam local` would take for them, and no other has."""
    functions = of_type(expanded(), "AWS::Lambda::Function")

    assert {"TenantFunction": {"TenantIsolationMode": "PER_TENANT"}} == {
        name: one["TenancyConfig"] for name, one in functions.items() if "TenancyConfig" in one
    }


def test_tenants_are_named_by_direct_invokes_alone() -> None:
    """Nothing of the stack calls the function of tenants, which names none; it keeps no jobs, and its role writes its own log."""
    resources = made(**ALL, TenantIsolation="on", Alarms="on")
    function, role = properties(resources, "TenantFunction"), properties(resources, "TenantRole")
    callers = ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig")
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    of_tenants = {name for name in resources if "Tenant" in name}

    assert {"TenantFunction", "TenantRole", "TenantLogs"} == of_tenants
    assert [] == [one for kind in callers for one in of_type(resources, kind).values() if "TenantFunction" in str(one)]
    assert "off" == function["Environment"]["Variables"]["JOBS"]
    assert {"LogGroup": {"Ref": "TenantLogs"}} == function["LoggingConfig"]
    assert ["logs:CreateLogStream", "logs:PutLogEvents"] == statement["Action"]
    assert {"Fn::GetAtt": ["TenantLogs", "Arn"]} == statement["Resource"]
    assert "{'Ref': 'TenantFunction'}" in str(properties(resources, "ThrottlesAlarm")["Metrics"])


def test_tenants_go_with_every_other_option() -> None:
    """What Lambda refuses a function of tenants is the API's own, so that nothing has to be given up for it."""
    everything = {name: value for option in OPTIONS for name, value in option.items()} | {"Release": "Canary10Percent5Minutes"}
    function = properties(made(**ALL, **everything), "TenantFunction")

    assert [] == refused(**everything)
    assert not {"ReservedConcurrentExecutions", "SnapStart"} & function.keys()
    assert "TenantFunction" not in str(properties(made(**everything), "ProvisionedTarget"))


def test_managed_instances() -> None:
    """One more function runs on the provider, with memory for the models of each request that it answers side by side."""
    function = properties(made(CapacityProviderArn=PROVIDER, ManagedMemory="8192", ManagedConcurrency="8"), "ManagedFunction")
    smallest = written()["Parameters"]["ManagedMemory"]["MinValue"]

    assert {
        "LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": PROVIDER, "PerExecutionEnvironmentMaxConcurrency": "8"}
    } == function["CapacityProviderConfig"]
    assert "8192" == function["MemorySize"]
    assert 2048 == smallest
    assert function["PublishToLatestPublished"]
    assert not {"VpcConfig", "ReservedConcurrentExecutions", "TenancyConfig"} & function.keys()


def test_key() -> None:
    """With a key of one's own everything that is kept is encrypted by it, and every role that reads or writes may use that key alone."""
    resources = made(**ALL, KeyArn=KEY, CapacityProviderArn=PROVIDER, TenantIsolation="on", Alarms="on")
    policy = properties(resources, "KeyPolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]

    for queue in of_type(resources, "AWS::SQS::Queue").values():
        assert KEY == queue["KmsMasterKeyId"]
        assert "SqsManagedSseEnabled" not in queue
    for bucket in of_type(resources, "AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY} == rule["ServerSideEncryptionByDefault"]
    assert {KEY} == {group["KmsKeyId"] for group in of_type(resources, "AWS::Logs::LogGroup").values()}
    assert {KEY} == {function["KmsKeyArn"] for function in of_type(resources, "AWS::Lambda::Function").values()}
    assert {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY} == properties(resources, "JobsTable")["SSESpecification"]
    assert KEY == properties(resources, "WebhookSecret")["KmsKeyId"] == properties(resources, "AlarmTopic")["KmsMasterKeyId"]
    assert KEY == statement["Resource"]
    assert ["kms:Decrypt", "kms:GenerateDataKey"] == statement["Action"]
    assert {*ALL_ROLES.values(), "BatchMachineRole", "ManagedRole", "TenantRole"} == {role["Ref"] for role in policy["Roles"]}


def test_without_a_key_there_is_awss_own() -> None:
    """Without a key nothing is left unencrypted that can be encrypted for nothing."""
    resources = made(**ALL)

    assert all(queue["SqsManagedSseEnabled"] and "KmsMasterKeyId" not in queue for queue in of_type(resources, "AWS::SQS::Queue").values())
    assert {"SSEEnabled": True} == properties(resources, "JobsTable")["SSESpecification"]
    for bucket in of_type(resources, "AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}} == rule
    assert not [one for one in of_type(resources, "AWS::Lambda::Function").values() if "KmsKeyArn" in one]


def test_metrics_are_those_of_a_stack() -> None:
    """Every function names its stack in its metrics, so that two stacks of an account do not add up."""
    for name, function in of_type(expanded(), "AWS::Lambda::Function").items():
        assert {"Ref": "AWS::StackName"} == function["Environment"]["Variables"]["SERVICE_NAME"], name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("CertificateArn", CERTIFICATE, f"{CERTIFICATE}*"),
        ("KeyArn", KEY, KEY.replace("key/", "alias/")),
        ("CapacityProviderArn", PROVIDER, f"{PROVIDER}*"),
        ("DomainName", "predict.example.com", "https://predict.example.com"),
        ("HostedZoneId", "Z0123456789", "example.com"),
        ("VpcSubnetIds", "subnet-0a,subnet-0b", "subnet-0a, subnet-0b"),
        ("VpcSecurityGroupIds", "sg-0a", "subnet-0a"),
        ("ReservedConcurrency", "0", "-1"),
        ("AlarmTopicName", "pager", "arn:aws:sns:eu-west-1:1:pager"),
        ("AlarmEmail", "me@example.com", "me"),
    ],
)
def test_parameters_are_checked(name: str, good: str, bad: str) -> None:
    """Each parameter takes what it is for, nothing, and nothing else."""
    pattern = written()["Parameters"][name]["AllowedPattern"]

    assert re.fullmatch(pattern, good)
    assert re.fullmatch(pattern, "")
    assert not re.fullmatch(pattern, bad)


def test_rules_are_worked_out() -> None:
    """What the tests make of a rule is what CloudFormation makes of it."""
    assertion = parsed('!Or [!Equals [!Ref KeyArn, ""], !Not [!Equals [!Ref DomainName, ""]]]')

    assert Values({}).value(assertion)
    assert not Values({"KeyArn": KEY}).value(assertion)
    assert Values({"KeyArn": KEY, "DomainName": "a.b"}).value(assertion)
