"""The part of the composition root that only events of queues, streams, buses, files and batches need: made at the first of them."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from app.batches import Place, Source
    from app.batches.files import Answering
    from app.batches.machine_object import Predicted
    from app.batches.machine_run import Asked, Batch
    from app.batches.machine_start import Started
    from app.batches.manifest import Manifest
    from app.inference.repository import Repository
    from app.job_wiring import JobParts
    from app.observability import Observer
    from app.prediction import Predictor
    from app.triggers.deliveries import Deliveries
    from app.triggers.records import Times
    from app.triggers.references import Found
    from app.triggers.router import Trigger
    from app.triggers.s3 import Inbox


class EventParts:
    """Everything that answers events which are no HTTP and no direct invoke."""

    def __init__(self, settings: Settings, repository: "Repository", observer: "Observer", jobs: "JobParts | None") -> None:
        self._settings, self._repository, self._observer, self._jobs = settings, repository, observer, jobs

    def triggers(self) -> "Sequence[Trigger]":
        """A row for each source.

        :raises SettingError: for places that are none.
        """
        rows = [*self._of_jobs(), *self._of_records(), *self._of_files(), *self._of_batches()]
        return [(recognises, _begun(handle)) for recognises, handle in rows]

    def _of_jobs(self) -> "list[Trigger]":
        from app.triggers import schedule

        return [(schedule.is_sweep, schedule.SweepTrigger(self._jobs.sweep))] if self._jobs else []

    def _of_records(self) -> "list[Trigger]":
        from app.triggers import dynamodb, eventbridge, kafka, kinesis, sns, sqs

        answer, jobs = self._deliveries.answer, self._jobs
        work = {"job": jobs.answer_jobs, "delivery": jobs.send_webhooks} if jobs else {}
        queue = sqs.SqsTrigger(work, _set_deadline, answer, self._deliveries.answer_alike, self._answer_files)
        return [
            (sqs.is_delivery, queue),
            (sns.is_notification, sns.SnsTrigger(answer, _set_deadline, self._answer_files)),
            (kinesis.is_stream, kinesis.KinesisTrigger(answer)),
            (dynamodb.is_stream, dynamodb.DynamoDbTrigger(answer)),
            (kafka.is_topic, kafka.KafkaTrigger(answer, partial=self._settings.kafka_failures == "report")),
            (eventbridge.is_bus_event, eventbridge.EventBridgeTrigger(answer)),
        ]

    def _of_files(self) -> "list[Trigger]":
        if self._inbox is None:
            return []
        from app.triggers.s3 import S3Trigger
        from app.triggers.s3_notifications import is_s3_event

        return [(is_s3_event, S3Trigger(self._inbox))]

    def _of_batches(self) -> "list[Trigger]":
        from app.triggers import batch_summary, distributed_map, scheduled_batch

        settings = self._settings
        outputs = [f"s3://{settings.inbox_bucket}/{settings.output_prefix.rstrip('/')}/"] if settings.inbox_bucket else []
        rows: list[Trigger] = [
            (
                distributed_map.is_batch,
                distributed_map.DistributedMapTrigger(self._predictor, self._observer, self._predict_object, allowed_outputs=outputs),
            ),
            (batch_summary.is_summary, batch_summary.SummaryTrigger(allowed_outputs=outputs)),
        ]
        if settings.batch_state_machine_arn:
            rows.append((scheduled_batch.is_scheduled_batch, scheduled_batch.ScheduledBatchTrigger(self._start_batch)))
        return rows

    @cached_property
    def _deliveries(self) -> "Deliveries":
        from app.results.places import check_target, sink_of
        from app.triggers.deliveries import Deliveries
        from app.triggers.outcomes import Outcomes
        from app.triggers.references import References

        settings = self._settings
        replies = _listed(settings.reply_queue_urls)
        for setting, target in [("RESULTS_TO", settings.results_to), *(("REPLY_QUEUE_URLS", reply) for reply in replies)]:
            if target:
                check_target(target, setting)
        sinks = partial(sink_of, cloudevents=settings.results_format == "cloudevents")
        # CSV takes up to 45 times its bytes, and a process that ends for want of memory ends the whole delivery, each time it comes.
        most = min(settings.max_upload_bytes, settings.memory_mb * 2**20 // 64) if settings.memory_mb else settings.max_upload_bytes
        references = References(_found, buckets=_listed(settings.input_buckets), max_bytes=most)
        outcomes = Outcomes(sinks, results_to=settings.results_to, reply_to=replies)
        return Deliveries(self._predictor, self._observer, outcomes, references.fetch, _set_deadline)

    @cached_property
    def _inbox(self) -> "Inbox | None":
        if not self._settings.inbox_bucket:
            return None
        from app.triggers.s3 import Inbox

        settings = self._settings
        return Inbox(
            self._repository,
            self._observer,
            self._predict_file,
            bucket=settings.inbox_bucket,
            input_prefix=settings.inbox_prefix,
            output_prefix=settings.output_prefix,
            bytes_per_s=settings.inbox_bytes_per_s,
            start_batch=self._start_batch if settings.batch_state_machine_arn else None,
        )

    def _predict_file(self, source: "Source", place: "Place", model: str | None, version: str | None, deadline: float) -> "Manifest":
        from app.batches.files import predict_file
        from app.prediction import PredictionRequest

        # The end of its name tells what it is.
        asked = PredictionRequest(b"", model, version, content_type="")
        return predict_file(source, place, asked, self._answering, deadline=deadline)

    def _predict_object(self, key: str, batch: "Batch", times: "Times") -> "Predicted":
        from app.batches.machine_object import predict_object

        return predict_object(self._answering, key, batch, times.run)

    @cached_property
    def _answering(self) -> "Answering":
        from app.batches.files import FilePredictor

        return FilePredictor(self._predictor, self._repository)

    def _answer_files(self, body: str, times: "Times") -> bool | None:
        """Whether what a message tells of S3 is done; None where it tells of nothing there."""
        from app.errors import Problem, UnknownEvent
        from app.triggers.s3_notifications import objects_in

        done = True
        try:
            found = objects_in(body)
            if found is None:
                return None
            if self._inbox is None:
                raise UnknownEvent("A message tells of objects in S3, but there is no inbox: set INBOX_BUCKET.")
        except UnknownEvent as error:
            self._observer.note("a message that tells of objects in S3 was not understood", reason=str(error))
            return False
        for one in found:
            try:
                self._inbox.answer_object(one, times)
            except Problem:
                # It is logged with its object, and the others need not wait for it.
                done = False
        return done

    def _start_batch(self, asked: "Asked") -> "Started":
        from app.batches.machine_start import start_batch

        return start_batch(self._settings.batch_state_machine_arn, asked)

    @cached_property
    def _predictor(self) -> "Predictor":
        from app.prediction import PACK_BYTES, Predictor

        settings = self._settings
        # What a graph keeps on its way is many times what goes in.
        pack_bytes = min(PACK_BYTES, settings.memory_mb * 2**20 // 32) if settings.memory_mb else PACK_BYTES
        most = settings.max_upload_bytes
        return Predictor(self._repository, max_body_bytes=most, max_result_bytes=most, pack_bytes=pack_bytes)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _found(bucket: str, key: str, version_id: str) -> "Found | None":
    from app.storage.s3_streams import S3Source

    return S3Source.find(bucket, key, version_id)


def _set_deadline(deadline: float | None) -> None:
    from app.storage.aws_clients import until

    until(deadline)


def _begun(handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same without the deadline that the invocation before left behind."""

    def answer(event: Any, context: Any) -> Any:
        _set_deadline(None)
        return handle(event, context)

    return answer
