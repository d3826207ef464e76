"""HubSpot's own SDK: everything into a list, as its `get_all` does."""

import sys

from hubspot import HubSpot

url, token, properties, _ = sys.argv[1:]
HubSpot(access_token=token, host=url).crm.contacts.get_all(properties=properties.split(","))
