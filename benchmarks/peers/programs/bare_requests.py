"""A bare sequential loop: each page is parsed and written as one JSON object per line."""

import json
import sys
from pathlib import Path

import requests

url, token, _, out = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"
offset, has_more = 0, True
with Path(out).open("w") as lines:
    while has_more:
        page = session.get(
            f"{url}/contacts/v1/lists/all/contacts/all", params={"count": 100, "vidOffset": offset}, timeout=60
        ).json()
        lines.writelines(json.dumps(contact) + "\n" for contact in page["contacts"])
        offset, has_more = page["vid-offset"], page["has-more"]
