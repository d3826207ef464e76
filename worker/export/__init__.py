"""An export at work: one slice of a job, page by page or in lanes."""
