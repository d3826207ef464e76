"""The cost of submitting a job: `POST /export/contacts` at a steady rate, and compared with an empty route."""
