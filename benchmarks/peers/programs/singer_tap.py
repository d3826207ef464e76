"""The Singer tap with the contacts stream only; its messages go to a file."""

import json
import sys
from pathlib import Path

import tap_hubspot

url, _, properties, out = sys.argv[1:]
names = properties.split(",")
columns = {f"property_{name}": {"type": ["null", "string"]} for name in names}
stream = {
    "stream": "contacts",
    "tap_stream_id": "contacts",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": columns},
    "metadata": [
        {"breadcrumb": [], "metadata": {"selected": True, "table-key-properties": ["id"]}},
        *(
            {"breadcrumb": ["properties", column], "metadata": {"selected": True, "inclusion": "available"}}
            for column in columns
        ),
    ],
}
config = {
    "redirect_uri": "-",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-client-secret",
    "refresh_token": "refresh-1",
    "start_date": "2000-01-01T00:00:00Z",
}
for name, content in (("catalog", {"streams": [stream]}), ("config", config)):
    Path(f"{out}.{name}").write_text(json.dumps(content))
tap_hubspot.BASE_URL = url
sys.argv = ["tap-hubspot", "-c", f"{out}.config", "--properties", f"{out}.catalog"]
with Path(out).open("w") as sys.stdout:
    tap_hubspot.main()
