"""The lists of the dated API, read without loss: one page in as few calls as it takes, whatever is asked of it.

Published: a page has at most 100 records, 50 where history is asked for, and so has a call by ids
(`POST {list}/batch/read`), which names properties in its body. An address holds some 16,000 characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec
from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.dated.associations import AssociationReader, may_be_cut
from worker.hubspot.dated.batches import BatchReader, Found
from worker.hubspot.dated.objects import DatedObject, ListBody, id_text, object_of, read_list, with_field
from worker.hubspot.dated.query import ID_PROPERTY, DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.splitting import LONGEST_QUERY, TOO_LONG, too_long
from worker.hubspot.transport import Answer, Transport
from worker.rate_limit.quota import Quota
from worker.records.envelope import PageUnreadableError
from worker.records.findings import PLAIN_PAGE, CallKind, PageFindings
from worker.records.page import Mend
from worker.records.types import Offset

REFUSED = frozenset({403, 404})
"""Without the scope of a list HubSpot answers 403; 404 where a portal has no such list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedListPage:
    """Records in the order of the list, each as HubSpot sent it or with what further calls have added to it.

    `after` is where the next page begins, None on the last one; `last_id` then the last id there was. `body` is
    HubSpot's own where one call gave all there is. `findings` tell what is missing; the calls are counted by PageCalls.
    """

    records: Sequence[msgspec.Raw]
    after: Offset | None = None
    last_id: int | None = None
    body: bytes | None = None
    mends: tuple[Mend, ...] = ()
    findings: PageFindings = PLAIN_PAGE
    quota: Quota | None = None
    correlation_id: str | None = None

    @classmethod
    def of(cls, listed: ListBody) -> Self:
        """Return what one call gave."""
        return cls(
            records=listed.records,
            after=listed.after,
            last_id=listed.last_id,
            body=listed.mended.text,
            mends=listed.mends,
        )

    @property
    def objects(self) -> list[DatedObject | msgspec.Raw]:
        """Decode the records; one that is no object stays as it came."""
        return [object_of(each) for each in self.records]


class DatedLists:
    """Reads pages of lists, and records by their ids. `calls` gives the permit of each call that it takes.

    Every method raises a HubSpotError, AddressTooLongError where the same query with its `longest_query` may work, and
    what the permit of a further call raises.
    """

    def __init__(self, *, transport: Transport, objects_url: str) -> None:
        self._transport = transport
        self._addresses = DatedAddresses(objects_url)
        self._batches = BatchReader(transport)
        self._associations = AssociationReader(transport=transport, addresses=self._addresses)

    def read(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        """Read a page: by one call where its address may be as long as it is, else by ids, in the order of the list.

        Associations that HubSpot cuts at 100 a record are completed, with no call where it has cut none.
        """
        is_short = query.length <= (query.longest_query or LONGEST_QUERY)
        if not query.names_properties:
            page = self._list(query, calls, token)
        elif is_short:
            page = self._list_with_properties(query, calls, token)
        else:
            page = self._list_by_ids(query, calls, token)
        if not query.associations or not may_be_cut(page.records):
            return page
        records, incomplete = self._associations.complete(query.path, page.records, calls, token)
        findings = replace(page.findings, incomplete_associations=incomplete)
        return replace(page, records=records, body=None, findings=findings)

    def read_by_ids(
        self, path: str, ids: Sequence[int | str], query: DatedQuery, calls: PageCalls, token: SecretStr
    ) -> DatedListPage:
        """Read records, in the order of their ids, with all their associations of the types that the query names.

        What is not there any more is left out, and counted in the findings.
        """
        texts = list(dict.fromkeys(map(str, ids)))
        found = self._batches.read(self._addresses.batch_read(path), texts, query, calls, token)
        records = {each: found.records[each] for each in texts if each in found.records}
        wanted, known = query.associations, list(records.values())
        linked, incomplete = self._associations.read_all(path, known, wanted, calls, token)
        return DatedListPage(
            records=linked,
            mends=found.mends_in(list(records)),
            findings=PageFindings(vanished=len(texts) - len(records), incomplete_associations=incomplete),
            quota=found.quota,
            correlation_id=found.correlation_id,
        )

    def _list_with_properties(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        try:
            return self._list(query, calls, token)
        except FatalHubSpotError as error:
            if error.status != TOO_LONG:
                raise
            # Only here: an address without the names cannot be made shorter.
            raise too_long(error, longest_query=query.length // 2) from error

    def _list(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        url, permit = self._addresses.list_of(query.path), calls.permit(CallKind.LIST)
        answer = self._transport.get(url, query.to_pairs(), token, api="dated", permit=permit)
        listed = _read(answer, token)
        return replace(DatedListPage.of(listed), quota=answer.quota, correlation_id=answer.correlation_id)

    def _list_by_ids(self, query: DatedQuery, calls: PageCalls, token: SecretStr) -> DatedListPage:
        """Read ids and associations from the list, and the properties by ids: its address may not name them all."""
        short = replace(query, properties=(ID_PROPERTY,), history=())
        page = self._list(short, calls, token)
        ids = [id_text(each) for each in page.records]
        asked = list(dict.fromkeys(each for each in ids if each is not None))
        if not asked:
            return page
        found = self._batches.read(self._addresses.batch_read(query.path), asked, query, calls, token)
        return _joined(page, ids, found)


def _read(answer: Answer, token: SecretStr) -> ListBody:
    try:
        return read_list(answer.body)
    except PageUnreadableError as error:
        raise answer.unusable(str(error), secrets=[token]) from error


def _joined(page: DatedListPage, ids: Sequence[str | None], found: Found) -> DatedListPage:
    """Put what was found by ids in the place of what the list has of it, with the list's associations."""
    listed = list(zip(ids, page.records, strict=True))
    left = [(each, record) for each, record in listed if each is None or each in found.records]
    places = {each: place for place, (each, _) in enumerate(left) if each is not None}
    records = [
        record if each is None else with_field(found.records[each], "associations", of=record) for each, record in left
    ]
    of_list = (Mend(places.get(ids[mend.place] or "", 0) if ids else 0, mend.kind) for mend in page.mends)
    return replace(
        page,
        records=records,
        body=None,
        mends=(*of_list, *found.mends_in([each for each, _ in left])),
        findings=PageFindings(vanished=len(listed) - len(left)),
        quota=found.quota or page.quota,
    )
