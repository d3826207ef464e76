"""A clock for tests that moves only when told to."""


class ManualClock:
    """Returns `now`, in epoch seconds, when called."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
