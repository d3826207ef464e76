"""Records in MongoDB: native where BSON can hold them, and given back as HubSpot sent them whatever they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bson.dbref import DBRef
from structlog.testing import capture_logs

from tests.contract.test_record_store import COPY, in_mongo
from worker.current_copy.mongo.collections import collection_of
from worker.current_copy.mongo.documents import to_body, to_fields
from worker.current_copy.record import Record
from worker.mongo.database import Document, MongoDatabase

CONTACTS = collection_of(COPY.export_type)

EXACT = [
    b'{"vid":1,"portal-id":62515,"properties":{"email":{"value":"a@x.test"}},"form-submissions":[],"x":null}',
    b' {"vid": 1,\n"big": 9223372036854775807, "small": -9223372036854775808}',
    b'{"vid":1,"n":1.10,"m":-0.0,"l":1E3,"k":0.1}',
    rb'{"vid":1,"a":"\u00fc\/\u0000 \ud83d\ude00"}',
    '{"vid":1,"ü":"😀\x7f"}'.encode(),
    b'{"vid":1,"a.b":{"":1},"_id":[2],"$price":{"$set":1,"$id":2}}',
    rb'{"vid":1,"name":"\u0141ukasz","more":"\u014Ddd \uD83D\ude00"}',
    b'{"vid":1,"text":"' + b"[{" * 200 + b'"}',
    b'{"vid":1,"deep":' + b"[" * 80 + b"]" * 80 + b"}",
]
LOSSY: dict[bytes, dict[str, Any] | None] = {
    b'{"vid":1,"n":9223372036854775808}': {"vid": 1, "n": "9223372036854775808"},
    b'{"vid":1,"n":' + b"7" * 5000 + b"}": {"vid": 1, "n": "7" * 5000},
    b'{"vid":1,"n":1.100000000000000000001}': {"vid": 1, "n": "1.100000000000000000001"},
    b'{"vid":1,"n":1e400}': {"vid": 1, "n": "1E+400"},
    b'{"vid":1,"n":1e99999}': {"vid": 1, "n": "1e99999"},
    b'{"vid":1,"a":1,"a":2}': {"vid": 1, "a": 2},
    rb'{"vid":1,"\u0141":1,"\u0141":2,"A":1,"a":2}': {"vid": 1, "\u0141": 2, "A": 1, "a": 2},
    rb'{"vid":1,"\u0000a":1}': {"vid": 1, "\ufffda": 1},
    b'{"vid":1,"deep":' + b'{"a":' * 99 + b"1" + b"}" * 99 + b"}": None,
    b'{"vid":1,"deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}": None,
    b'{"vid":1,"to":{"$ref":"x","$id":1}}': {"vid": 1, "to": DBRef("x", 1)},
}


@pytest.mark.parametrize("body", EXACT, ids=range(len(EXACT)))
def test_what_bson_can_hold_is_stored_natively_and_once(mongo_database: MongoDatabase, body: bytes) -> None:
    stored, given = put_in(mongo_database, body)
    assert stored["original"] is None
    assert stored["record"] == json.loads(body)
    assert json.loads(given) == json.loads(body)


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        (rb'{"vid":1,"cut":"\ud83d"}', {"vid": 1, "cut": "\ufffd"}),
        (b'{"vid":1,"latin":"\xfc"}', {"vid": 1, "latin": "\ufffd"}),
        (b'{"vid":1,"n":NaN,"m":[-Infinity]}', {"vid": 1, "n": None, "m": [None]}),
        (b'{"vid":1,"text":"a\nb"}', {"vid": 1, "text": "a\nb"}),
    ],
)
def test_what_is_no_json_is_stored_and_given_mended(
    mongo_database: MongoDatabase, body: bytes, mended: dict[str, Any]
) -> None:
    stored, given = put_in(mongo_database, body)
    assert (stored["record"], json.loads(given)) == (mended, mended)


@pytest.mark.parametrize("body", LOSSY, ids=range(len(LOSSY)))
def test_what_bson_cannot_hold_is_stored_as_near_as_it_comes_and_given_back_whole(
    mongo_database: MongoDatabase, body: bytes
) -> None:
    stored, given = put_in(mongo_database, body)
    assert given == body
    record = stored["record"]
    assert LOSSY[body] == (record | {"n": str(record["n"])} if record and "n" in record else record)


def test_a_record_too_long_for_a_document_is_kept_in_hubspots_bytes() -> None:
    body = b'{"vid":1,"long":"' + b"x" * 5000 + b'"}'
    fields = to_fields(body, most_bytes=1000)
    assert fields["record"] is None
    assert to_body(fields) == body


def test_a_record_that_no_document_can_hold_is_known_to_be_there_and_reported() -> None:
    with capture_logs() as logs:
        fields = to_fields(b'{"vid":1,"long":"xyz"}', most_bytes=10)
    assert (fields, to_body(fields)) == ({"record": None, "original": None}, b"null")
    assert [(log["event"], log["bytes"]) for log in logs] == [("record_too_large", 22)]


def test_a_replacement_takes_the_original_of_the_one_before_away(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    put_in(mongo_database, b'{"vid":1,"a":1,"a":2}')
    world.change(lambda at: world.store.replace(COPY, [Record.of(1, EXACT[0])], at=at, sync_id="s2"))
    assert world.store.find(COPY, 1).body == EXACT[0]


def test_fields_of_other_programs_stay(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    put_in(mongo_database, EXACT[0])
    mongo_database[CONTACTS].update_one({"record_id": 1}, {"$set": {"theirs": 5}})
    world.change(lambda at: world.store.replace(COPY, [Record.of(1, EXACT[1])], at=at, sync_id="s2"))
    assert mongo_database[CONTACTS].count_documents({"record_id": 1, "theirs": 5}) == 1


def test_records_can_be_queried_by_what_they_hold(mongo_database: MongoDatabase) -> None:
    put_in(mongo_database, EXACT[0])
    wanted = {"account_id": "a1", "record.properties.email.value": "a@x.test"}
    assert mongo_database[CONTACTS].count_documents(wanted) == 1


def put_in(database: MongoDatabase, body: bytes) -> tuple[Document, bytes]:
    """Return what is stored of a record, and what a reader of it gets."""
    world = in_mongo(database)
    world.change(lambda at: world.store.insert(COPY, [Record.of(1, body)], at=at, sync_id="s1"))
    stored = database[CONTACTS].find_one({"record_id": 1})
    assert stored is not None
    return stored, world.store.find(COPY, 1).body
