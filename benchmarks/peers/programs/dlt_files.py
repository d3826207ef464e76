"""dlt's REST client, loading into JSON lines on disk."""

import sys

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

url, token, properties, out = sys.argv[1:]
client = RESTClient(
    base_url=url,
    auth=BearerTokenAuth(token),
    paginator=JSONResponseCursorPaginator(cursor_path="paging.next.after", cursor_param="after"),
    data_selector="results",
)


@dlt.resource(name="contacts", primary_key="id")
def contacts():
    yield from client.paginate("/crm/v3/objects/contacts", params={"limit": 100, "properties": properties})


dlt.pipeline(
    "contacts",
    pipelines_dir=f"{out}.pipelines",
    destination=dlt.destinations.filesystem(bucket_url=f"file://{out}.files"),
    dataset_name="hubspot",
).run(contacts, loader_file_format="jsonl")
