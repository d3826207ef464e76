"""The Celery app, and the names of tasks and queues; `celeryconfig` is read when it is first needed."""

from __future__ import annotations

from celery import Celery

TAKE_TURN = "hubspot_export.take_turn"
RUN_SLICE = "hubspot_export.run_slice"  # of one job: versions before turns by account published it
NOTE_MARK = "hubspot_export.note_mark"
START_SYNC = "hubspot_export.start_sync"
START_SYNCS = "hubspot_export.start_syncs"
RUN_RPC_REQUEST = "hubspot_export.run_errand"  # the name in messages of older versions
DELIVER = "hubspot_export.deliver"
SWEEP = "hubspot_export.sweep"
DISPATCH = "hubspot_export.dispatch"

QUEUE_INTERACTIVE = "interactive"
QUEUE_BULK = "bulk"
QUEUE_UPKEEP = "upkeep"

app = Celery("hubspot-export", set_as_current=False)
app.config_from_object("celeryconfig")
