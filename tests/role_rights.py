"""Rights of the template's roles that no recorded call shows, each with its reason; and those that would hurt most."""

from tests.scans.variants import GIVEN

Right = tuple[str, str, str]
FUNCTIONS = (
    "OnnxLambda",
    "JobsWorker",
    "WebhookSender",
    "JobsSweeper",
    "RecordsWorker",
    "InboxWorker",
    "BatchWorker",
    "ReleaseCheck",
    "ManagedFunction",
    "TenantFunction",
)
# By Lambda's pollers of streams, and by those of Kafka in its network, where EC2 knows no resource.
BY_POLLERS = {
    "RecordsWorker": {
        ("kafka-cluster:Connect", "KafkaClusterArn", ""),
        ("ec2:DescribeSecurityGroups", "everything", ""),
        ("ec2:DescribeVpcs", "everything", ""),
        *(
            (f"kinesis:{one}", "KinesisArn", "")
            for one in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
        ),
    }
}
# What no test on a deployment has asked for yet, and where the code does.
UNSEEN: dict[str, set[Right]] = {
    "OnnxLambda": {
        # A submission that failed half-way is taken back, and a key whose request failed is freed: tests/faults.
        ("dynamodb:DeleteItem", "JobsTable", "job#*"),
        ("dynamodb:DeleteItem", "JobsTable", "reservation#*"),
        ("s3:DeleteObject", "JobsBucket/answers/*", ""),
        ("s3:DeleteObject", "JobsBucket/payloads/*", ""),
        # With the former on one line of the policy: all records of the table are this function's.
        ("dynamodb:DeleteItem", "JobsTable", "delivery#*"),
        ("dynamodb:BatchGetItem", "JobsTable", "delivery#*"),
        ("dynamodb:BatchGetItem", "JobsTable", "reservation#*"),
        # Without it what is not there is 403 and not 404.
        ("s3:ListBucket", "JobsBucket", ""),
    },
    "JobsWorker": {
        # After a write whose answer was lost: was it this one? And the result of an attempt that came too late: tests/faults.
        ("dynamodb:GetItem", "JobsTable", "delivery#*"),
        ("s3:DeleteObject", "JobsBucket/results/*", ""),
        ("s3:ListBucket", "JobsBucket", ""),
    },
    "JobsSweeper": {
        # The same, for each kind of record; and uploads that nobody predicted with, of which a sweep looks at a 256th.
        ("dynamodb:GetItem", "JobsTable", "delivery#*"),
        ("dynamodb:GetItem", "JobsTable", "reservation#*"),
        ("dynamodb:PutItem", "JobsTable", "reservation#*"),
        ("s3:DeleteObject", "JobsBucket/uploads/*", ""),
    },
    "RecordsWorker": {("s3:GetObjectVersion", f"{GIVEN['InputBucket']}/*", ""), ("s3:ListBucket", GIVEN["InputBucket"], "")},
    "InboxWorker": {("s3:ListBucket", "InboxBucket", "")},
    "BatchWorker": {
        # Whole files as items: tests/machine, where no role is asked.
        ("s3:AbortMultipartUpload", "InboxBucket/predictions/*", ""),
        ("s3:GetObject", "InboxBucket/predictions/*", ""),
        ("s3:GetObjectVersion", "InboxBucket/batches/*", ""),
        ("s3:GetObjectVersion", "InboxBucket/inbox/*", ""),
    },
    # tests/hooks, where no role is asked.
    "ReleaseCheck": {
        ("codedeploy:PutLifecycleEventHookExecutionStatus", "a deployment group of the stack", ""),
        ("lambda:InvokeFunction", "OnnxLambdaAliaslive", ""),
    },
}
# function, action, resource, key: rights that others have, and what nobody has.
NOBODY: set[Right] = {
    ("dynamodb:DeleteTable", "JobsTable", ""),
    ("dynamodb:Scan", "JobsTable", ""),
    ("s3:DeleteObjectVersion", "JobsBucket/payloads/*", ""),
    ("s3:DeleteObjectVersion", "InboxBucket/inbox/*", ""),
    ("s3:DeleteObject", "InboxBucket/inbox/*", ""),
    ("s3:PutBucketPolicy", "JobsBucket", ""),
    ("secretsmanager:PutSecretValue", "WebhookSecret", ""),
    ("lambda:UpdateFunctionCode", "OnnxLambda", ""),
    ("iam:PassRole", "FunctionRole", ""),
    ("sts:AssumeRole", "everything", ""),
    ("sqs:PurgeQueue", "JobsQueue", ""),
}
FORBIDDEN = [
    ("WebhookSender", "s3:GetObject", "JobsBucket/payloads/*", ""),
    ("WebhookSender", "s3:GetObject", "JobsBucket/results/*", ""),
    ("WebhookSender", "dynamodb:GetItem", "JobsTable", "job#*"),
    ("JobsWorker", "secretsmanager:GetSecretValue", "WebhookSecret", ""),
    ("JobsWorker", "dynamodb:GetItem", "JobsTable", "reservation#*"),
    ("JobsWorker", "dynamodb:Query", "JobsTable/index/by_owner", ""),
    ("OnnxLambda", "secretsmanager:GetSecretValue", "WebhookSecret", ""),
    ("OnnxLambda", "s3:PutObject", "JobsBucket/results/*", ""),
    ("OnnxLambda", "sqs:ReceiveMessage", "JobsQueue", ""),
    ("JobsSweeper", "s3:GetObject", "JobsBucket/payloads/*", ""),
    ("JobsSweeper", "secretsmanager:GetSecretValue", "WebhookSecret", ""),
    ("RecordsWorker", "s3:GetObject", "JobsBucket/payloads/*", ""),
    ("RecordsWorker", "dynamodb:GetItem", "JobsTable", "job#*"),
    ("InboxWorker", "s3:GetObject", "InboxBucket/batches/*", ""),
    ("BatchWorker", "sqs:ReceiveMessage", "InboxQueue", ""),
    ("ReleaseCheck", "s3:GetObject", "JobsBucket/results/*", ""),
    ("ManagedFunction", "s3:GetObject", "JobsBucket/results/*", ""),
    *((function, *right) for function in FUNCTIONS for right in sorted(NOBODY)),
]
