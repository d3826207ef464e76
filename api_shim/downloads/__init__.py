"""Downloads: all records of a finished job as NDJSON or as a table, streamed in constant memory."""
