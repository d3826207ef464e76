"""The minimal cost of durable pages in plain Python: urllib3, orjson, zstd, and two acknowledged writes a page.

Each page is fetched and decoded once, for its ids and its offset, and stored compressed; then the cursor is stored, so
that another run could continue from there. Nothing else of the product is here: no rate limit, lease, retry, timeout
of a whole answer or cancellation. Prints the cost of the loop, without Python's start-up.
"""

import json
import sys
import time

import orjson
import urllib3
from backports import zstd
from pymongo import MongoClient

url, token, _, _, mongodb_uri = sys.argv[1:]
http = urllib3.PoolManager(retries=False, timeout=60, headers={"Authorization": f"Bearer {token}"})
options = {zstd.CompressionParameter.compression_level: 3, zstd.CompressionParameter.checksum_flag: True}
client = MongoClient(mongodb_uri, w="majority", journal=True)
database = client["floor"]
client.drop_database("floor")
database.pages.create_index("job_id")
database.jobs.insert_one({"_id": "floor"})

began_at, cpu_began_at = time.monotonic(), time.process_time()
number, records, offset, has_more = 0, 0, 0, True
while has_more:
    answer = http.request("GET", f"{url}/contacts/v1/lists/all/contacts/all?count=100&vidOffset={offset}")
    if answer.status != 200:  # noqa: PLR2004
        sys.exit(f"the fake HubSpot answered {answer.status}")
    page = orjson.loads(answer.data)
    ids = [contact["vid"] for contact in page["contacts"]]
    records += len(ids)
    offset, has_more = page["vid-offset"], page["has-more"]
    stored = {
        "_id": f"floor:{number}",
        "job_id": "floor",
        "records_through": records,
        "ids_from": min(ids),
        "ids_to": max(ids),
        "body": zstd.compress(answer.data, options=options),
    }
    database.pages.insert_one(stored)
    number += 1
    progress = {"pages": number, "records": records, "offset": offset, "has_more": has_more}
    database.jobs.update_one({"_id": "floor"}, {"$set": progress})
print(json.dumps({"wall_s": time.monotonic() - began_at, "cpu_s": time.process_time() - cpu_began_at}))
client.drop_database("floor")
