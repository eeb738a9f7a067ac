"""Every setting, read once from the environment. Only ``wiring`` and ``cli`` import this; values are passed on."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.errors import SettingError

# Lambda's own limit for a synchronous request or response is 6 MB (6,291,556 bytes with its envelope):
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LAMBDA_PAYLOAD_BYTES = 6 * 1024 * 1024
SERVER_PAYLOAD_BYTES = 64 * 1024 * 1024


class Settings(NamedTuple):
    """The settings of one process. Each field is the environment variable of the same name in capitals."""

    model_dir: str = "models"
    """Folder that holds `<name>/<version>/model.onnx`."""
    default_model: str = ""
    """Model that `/predict` answers with; empty: the one whose model.toml says `default = true`, else the only one."""
    preload_models: str = "default"
    """What is loaded at start: `default`, `all`, `none`, or names separated by commas; the rest is loaded at its first request."""
    max_body_bytes: int = SERVER_PAYLOAD_BYTES
    """Largest request body in bytes, after decoding (on Lambda the default is 6291456)."""
    max_result_bytes: int = SERVER_PAYLOAD_BYTES
    """Largest answer in bytes (on Lambda the default is 6291456)."""
    http_fast_lane: bool = True
    """`on`: all but `/openapi.json` and `/docs` is answered without FastAPI; `off`: everything goes through FastAPI."""
    base_path: str = ""
    """Path prefix that a custom domain puts before every route, such as `/ml`."""
    log_level: str = "WARNING"
    """`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`; requests are logged at INFO (on Lambda the default is INFO)."""
    log_values: bool = False
    """`on`: the first values of every tensor are logged too; `off`: names, datatypes, shapes only."""
    metrics_namespace: str = "onnx-lambda"
    """CloudWatch namespace of the metrics; metrics are written on Lambda only."""
    service_name: str = "onnx-lambda"
    """`service` in log lines and metrics."""
    host: str = "127.0.0.1"
    """Address that `serve` listens on."""
    port: int = 8000
    """Port that `serve` listens on."""
    request_timeout_s: int = 60
    """Seconds after which `serve` ends a run (504) or stops waiting for a body (408); on Lambda the invocation's own deadline counts."""
    deadline_margin_ms: int = 400
    """Milliseconds before Lambda's deadline at which a run is ended and answered 504 (at least 200)."""
    intra_op_threads: int = 0
    """Threads of one run; 0: one for each 1769 MB of Lambda memory, outside Lambda the CPUs of the process."""
    jobs: str = "sqlite"
    """Where predictions that are answered later are kept: `sqlite` (one machine), `aws`, or `off` (the default on Lambda, where `sqlite` is refused)."""
    jobs_dir: str = ".onnx-lambda"
    """Folder of the SQLite file and of uploads and results, made at the first job."""
    jobs_table: str = ""
    """DynamoDB table of jobs; needed with `JOBS=aws`, as are the bucket and the two queues."""
    jobs_bucket: str = ""
    """S3 bucket of request bodies, results and uploads."""
    jobs_queue_url: str = ""
    """SQS queue whose messages tell workers of jobs."""
    jobs_dead_queue_url: str = ""
    """Dead-letter queue of the one above, which the sweeper looks at; may be empty."""
    webhooks_queue_url: str = ""
    """SQS queue whose messages tell of webhooks that are due."""
    job_max_attempts: int = 3
    """How often a job is tried before it has failed; the queue's `maxReceiveCount` is 2 more, for deliveries that did not reach the job."""
    job_max_age_s: int = 86_400
    """Seconds after which a job that nobody has answered is `expired`."""
    job_retention_s: int = 86_400
    """Seconds for which a job that has ended, and its result, can be read; at least 82 h where a webhook tells of it."""
    job_packing: bool = True
    """`on`: jobs of one delivery for the same model share a run, if the model answers packs to the bit as it answers each alone."""
    max_upload_bytes: int = 512 * 1024 * 1024
    """Largest upload and largest result of a job in bytes."""
    public_url: str = ""
    """Address that stands before the paths in webhooks, such as `https://predict.example.com`; empty: paths alone."""
    webhook_secrets: str = ""
    """Key that signs webhooks (`whsec_…`, Standard Webhooks), and after a space the previous one; on AWS use the next one."""
    webhook_secrets_arn: str = ""
    """Secret of Secrets Manager that holds them. With neither, `Webhook-Url` is refused."""
    webhook_allow_private: bool = False
    """`on`: webhooks may go to http:// and to private addresses, for trying them on one machine; refused on Lambda."""
    results_to: str = ""
    """Where the answers of events go: a queue's URL, `s3://bucket/prefix/`, the ARN of an event bus or a Firehose stream; empty: nowhere."""
    results_format: str = "plain"
    """What an event bus hears: `plain` details, or `cloudevents` (CloudEvents 1.0)."""
    reply_queue_urls: str = ""
    """Places that a record may name by its attribute `reply-to`, separated by commas."""
    kafka_failures: str = "report"
    """`report`: the answer names the records of a topic that failed; `raise`: they fail the delivery, for mappings without provisioned mode."""
    input_buckets: str = ""
    """Buckets whose objects a record may name as its body, separated by commas."""
    inbox_bucket: str = ""
    """Bucket whose new objects are predicted; empty: events of S3 are refused."""
    inbox_prefix: str = "inbox/"
    """Folder of that bucket whose objects are predicted."""
    output_prefix: str = "predictions/"
    """Folder of that bucket that predictions of files are written to."""
    inbox_bytes_per_s: int = 500_000
    """Bytes of a file that one invocation predicts in a second at least; what would take too long goes to the batch machine."""
    batch_state_machine_arn: str = ""
    """State machine that predicts what is too large for one invocation (statemachines/batch_predict.asl.json)."""
    on_lambda: bool = False
    """Set by the platform (AWS_LAMBDA_FUNCTION_NAME is there), never by hand."""
    memory_mb: int = 0
    """Set by the platform (AWS_LAMBDA_FUNCTION_MEMORY_SIZE); 0 outside Lambda."""


PLATFORM_FIELDS = frozenset({"on_lambda", "memory_mb"})
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_SWITCH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
_KAFKA = ("report", "raise")
_RESULTS = ("plain", "cloudevents")
_JOBS = ("sqlite", "aws", "off")
# What AWS needs to know of, each by itself.
_NEEDED_ON_AWS = ("jobs_table", "jobs_bucket", "jobs_queue_url", "webhooks_queue_url")
_SMALLEST = {
    **dict.fromkeys(("max_body_bytes", "max_result_bytes", "request_timeout_s", "job_max_attempts", "max_upload_bytes"), 1),
    "inbox_bytes_per_s": 1,
    **dict.fromkeys(("job_max_age_s", "job_retention_s"), 60),
    "deadline_margin_ms": 200,
}
# A queue keeps messages for at most 14 days (SQS Developer Guide, "Amazon SQS message quotas").
_LONGEST_AGE_S = 14 * 86_400
_LARGEST = {
    "port": 65535,
    "request_timeout_s": 86_400,
    "deadline_margin_ms": 60_000,
    "intra_op_threads": 256,
    "job_max_attempts": 100,
    "job_max_age_s": _LONGEST_AGE_S,
}


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    :raises SettingError: for the first value that is not accepted, naming the variable and what it takes.
    """
    values: dict[str, Any] = {}
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        values = {"on_lambda": True, "log_level": "INFO", "memory_mb": _integer("memory_mb", _lambda_memory(environ))}
        values["max_body_bytes"] = values["max_result_bytes"] = LAMBDA_PAYLOAD_BYTES
        values["jobs"] = "off"
    for name, default in Settings._field_defaults.items():
        text = environ.get(name.upper())
        if name not in PLATFORM_FIELDS and text:
            values[name] = _READERS[type(default)](name, text)
    settings = Settings(**values)
    if settings.log_level not in _LOG_LEVELS:
        raise SettingError(f"LOG_LEVEL is '{settings.log_level}', but takes one of {', '.join(_LOG_LEVELS)}.")
    if settings.base_path and (not settings.base_path.startswith("/") or settings.base_path.endswith("/")):
        raise SettingError("BASE_PATH takes a path that starts with '/' and does not end with one, such as /ml.")
    if settings.results_format not in _RESULTS:
        raise SettingError(f"RESULTS_FORMAT is '{settings.results_format}', but takes one of {', '.join(_RESULTS)}.")
    if settings.kafka_failures not in _KAFKA:
        raise SettingError(f"KAFKA_FAILURES is '{settings.kafka_failures}', but takes one of {', '.join(_KAFKA)}.")
    _check_jobs(settings)
    return settings


def _check_jobs(settings: Settings) -> None:
    if settings.jobs not in _JOBS:
        raise SettingError(f"JOBS is '{settings.jobs}', but takes one of {', '.join(_JOBS)}.")
    if settings.on_lambda and settings.jobs == "sqlite":
        # /tmp belongs to one execution environment, and ends with it.
        raise SettingError(
            "JOBS is 'sqlite', which is kept on one machine and lost on Lambda; use JOBS=aws with its table, bucket and queues."
        )
    if settings.jobs == "aws":
        missing = [name.upper() for name in _NEEDED_ON_AWS if not getattr(settings, name)]
        if missing:
            raise SettingError(f"JOBS is 'aws', which needs {', '.join(missing)} as well.")
    if settings.on_lambda and settings.webhook_allow_private:
        raise SettingError("WEBHOOK_ALLOW_PRIVATE is on, which is for one's own machine; webhooks from Lambda go to public addresses only.")


def _lambda_memory(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or "0"


def _integer(name: str, text: str) -> int:
    smallest, largest = _SMALLEST.get(name, 0), _LARGEST.get(name)
    try:
        number = int(text)
    except ValueError:
        number = smallest - 1
    if number < smallest or (largest is not None and number > largest):
        limits = f"from {smallest} to {largest}" if largest is not None else f"of at least {smallest}"
        raise SettingError(f"{name.upper()} is '{text}', but takes a whole number {limits}.")
    return number


def _switch(name: str, text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise SettingError(f"{name.upper()} is '{text}', but takes on or off.")
    return _SWITCH[text.lower()]


def _text(name: str, text: str) -> str:
    return text.upper() if name == "log_level" else text.lower() if name == "jobs" else text


_READERS: dict[type, Callable[[str, str], Any]] = {int: _integer, bool: _switch, str: _text}
