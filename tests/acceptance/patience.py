"""Where `until` was before all tests had use for it; new ones take it from tests.patience."""

from tests.patience import until

__all__ = ["until"]
