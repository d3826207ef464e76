"""WebhookRules: which webhooks a request may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from api_shim.requests.schemas import WebhookBody
from worker.errors import InvalidRequestError
from worker.jobs.webhook import Webhook
from worker.webhooks.url_policy import require_deliverable


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """The settings of webhooks, which hold for exports, syncs and schedules alike."""

    can_sign: bool
    allow_private: bool

    def accept(self, asked: WebhookBody) -> Webhook:
        """Return what a job or a schedule stores of a request's webhook. Raises InvalidRequestError."""
        if not self.can_sign:
            raise InvalidRequestError("webhook: webhooks are not configured here: WEBHOOK_SECRET is not set")
        try:
            require_deliverable(asked.url, allow_private=self.allow_private)
        except ValueError as error:
            raise InvalidRequestError(f"webhook.url: {error}") from None
        return Webhook(url=asked.url)
