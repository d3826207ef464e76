"""`hubspot-export unblock`: resume the exports of an account before HubSpot's back-off ends."""

from __future__ import annotations

import click
from redis import RedisError

from api_shim.commands.database import open_database
from api_shim.commands.options import checked_id
from worker.broker.redis_client import impatient_redis
from worker.jobs.mongo.jobs import MongoJobStore
from worker.rate_limit.blocks import lift_block
from worker.settings import StoreSettings, load


@click.command("unblock")
@click.argument("account_id", callback=checked_id)
def command(*, account_id: str) -> None:
    """Lift the block of ACCOUNT_ID, whose calls HubSpot's answers have paused (limits, migrations).

    Running workers notice within seconds; waiting jobs resume at once. If HubSpot still limits the account, its next
    answer says so, and the account is blocked again. Reads REDIS_URL or CELERY_BROKER_URL, MONGODB_URI and
    MONGODB_DATABASE.
    """
    settings = load(StoreSettings)
    try:
        left_s = lift_block(impatient_redis(settings.redis), account_id)
    except RedisError:
        raise click.ClickException("Redis does not answer") from None
    with open_database(settings) as database:
        woken = MongoJobStore(database).wake(account_id)
    blocked = f"was blocked for another {left_s:.0f} s" if left_s > 0 else "was not blocked"
    click.echo(f"Account {account_id} {blocked}; jobs that waited and go on: {woken}")
