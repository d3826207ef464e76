"""Webhook <-> the part of a job's document that it is stored as."""

from __future__ import annotations

from dataclasses import asdict

from worker.jobs.webhook import Delivery, Webhook, WebhookStatus
from worker.mongo.database import Document


def webhook_to_document(webhook: Webhook) -> Document:
    """Write a webhook down."""
    return asdict(webhook) | {"outcome": webhook.outcome.value}


def webhook_from_document(document: Document) -> Webhook:
    """Read a webhook back; when it was published is the store's own business."""
    return Webhook(
        url=document["url"],
        ending=document["ending"],
        attempts=document["attempts"],
        outcome=WebhookStatus(document["outcome"]),
        deliveries=tuple(Delivery(**each) for each in document["deliveries"]),
    )
