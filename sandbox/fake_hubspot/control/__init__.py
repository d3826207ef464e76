"""The control API, by which demo, tests and benchmarks set the fake HubSpot up."""
