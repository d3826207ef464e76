"""HubSpot's own SDK: `get_all`, which collects everything in a list."""

import sys

from hubspot import HubSpot

url, token, properties, _ = sys.argv[1:]
HubSpot(access_token=token, host=url).crm.contacts.get_all(properties=properties.split(","))
