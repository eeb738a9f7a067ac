"""The part of the composition root that is for webhooks: their keys, whom they may go to, and how one is sent."""

import time
from functools import cached_property
from typing import TYPE_CHECKING

from app.errors import SettingError
from app.settings import Settings

if TYPE_CHECKING:
    from app.jobs.delivery import Delivery
    from app.jobs.sender import Sent
    from app.jobs.webhook_address import AddressPolicy
    from app.jobs.webhook_signature import Secrets
    from app.observability import Observer

_SECRETS_KEPT_S = 300.0


class WebhookParts:
    """Checks webhooks at submit, and sends them."""

    def __init__(self, settings: Settings, observer: "Observer") -> None:
        """:raises SettingError: for WEBHOOK_SECRETS that sign nothing, rather than at the first webhook."""
        self._settings = settings
        self._observer = observer
        self._read_secrets: tuple[float, Secrets | None] = (0.0, None)
        if settings.webhook_secrets:
            self._secrets()

    def _secrets(self) -> "Secrets":
        from app.jobs.webhook_signature import parse_secrets

        read_at, secrets = self._read_secrets
        # A secret that was rotated is to be used without a new environment.
        if secrets is None or (self._settings.webhook_secrets_arn and time.monotonic() - read_at > _SECRETS_KEPT_S):
            if self._settings.webhook_secrets:
                secrets = parse_secrets(self._settings.webhook_secrets)
            else:
                from app.storage.aws_clients import secret

                secrets = parse_secrets(secret(self._settings.webhook_secrets_arn), "WEBHOOK_SECRETS_ARN", bare=True)
            self._read_secrets = time.monotonic(), secrets
        return secrets

    @cached_property
    def _addresses(self) -> "AddressPolicy":
        from urllib.parse import urlsplit

        from app.jobs.webhook_address import AddressPolicy

        # A webhook to this server itself would make it call itself in its own name.
        own = urlsplit(self._settings.public_url).hostname
        return AddressPolicy(self._settings.webhook_allow_private, frozenset([own] if own else ()))

    def check(self, url: str) -> None:
        """Refuse what is never sent to.

        :raises WebhookRefused: with the reason.
        """
        from app.jobs.errors import WebhookRefused
        from app.jobs.webhook_address import check_resolves, check_url

        if not (self._settings.webhook_secrets or self._settings.webhook_secrets_arn):
            raise WebhookRefused("Webhook-Url cannot be used: this server has no key to sign webhooks with (WEBHOOK_SECRETS).")
        check_resolves(check_url(url, allow=self._addresses))

    def transmit(self, delivery: "Delivery") -> "Sent":
        """Make one attempt. Nothing that a receiver or a setting does is raised.

        :raises StoreUnavailable: when the keys cannot be read just then.
        """
        from app.jobs.errors import WebhookRefused
        from app.jobs.sender import Sent
        from app.jobs.webhook_address import check_url
        from app.jobs.webhook_request import send

        try:
            target = check_url(delivery.url, allow=self._addresses)
            secrets = self._secrets()
        except WebhookRefused:
            # It was taken under other rules.
            return Sent("stop", "address-refused", None, 0.0)
        except SettingError as error:
            self._observer.note("a webhook could not be signed", reason=str(error))
            return Sent("retry", "key-unusable", None, 0.0)
        outcome = send(target, delivery.body.encode(), webhook_id=delivery.id, secrets=secrets)
        return Sent(outcome.disposition, outcome.label, outcome.retry_after_s, outcome.duration_s)
