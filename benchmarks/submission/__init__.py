"""What it takes to hand a job in: `POST /export/contacts` under a steady load, and beside a route that does nothing."""
