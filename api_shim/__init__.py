"""The HTTP shim: it turns requests into jobs and jobs into answers, and never talks to HubSpot."""
