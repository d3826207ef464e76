"""Builds what writes, compares and erases the current copy."""

from __future__ import annotations

from dataclasses import dataclass

from worker.bootstrap.accounts import Accounts
from worker.bootstrap.infrastructure import Infrastructure
from worker.current_copy.comparison import Comparison
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.eraser import Eraser
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.current_copy.writer import CurrentCopy
from worker.mongo.transactions import MongoTransactions

_TRANSACTION_S = 30.0  # of several calls; only the job waits for it, and a thread renews its lease meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The current copy: its records, its writer, and the one who erases from it."""

    records: MongoRecordStore
    writer: CurrentCopy
    eraser: Eraser


def build_copies(infra: Infrastructure, accounts: Accounts) -> Copies:
    records, erasures = MongoRecordStore(infra.database, infra.spoiled), MongoErasureStore(infra.database)
    transactions = MongoTransactions(infra.database, within_s=_TRANSACTION_S)
    comparison = Comparison(
        records=records,
        pages=infra.pages,
        transactions=transactions,
        scopes=accounts.introspector,
        guard=DeletionGuard(share=infra.settings.deletion_guard),
    )
    return Copies(
        records=records,
        writer=CurrentCopy(records=records, erasures=erasures, transactions=transactions, comparison=comparison),
        eraser=Eraser(
            jobs=infra.jobs, erasures=erasures, records=records, pages=infra.pages, transactions=transactions
        ),
    )
