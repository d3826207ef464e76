"""Record ids as a pure function of seed and index, with gaps as in a real portal."""

from dataclasses import dataclass

_PRIME = 2_654_435_761
_MASK = 0xFFFF_FFFF


def mix(seed: int, index: int) -> int:
    """Hash two numbers into 32 bits; unlike `hash`, the result is the same in every process."""
    mixed = (index * _PRIME + seed * 40_503 + 0x9E37_79B9) & _MASK
    mixed = ((mixed ^ (mixed >> 15)) * 0x85EB_CA6B) & _MASK
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2_AE35) & _MASK
    return mixed ^ (mixed >> 16)


@dataclass(frozen=True)
class IdSeries:
    """Ascending ids with gaps; the id of index `i` lies in the i-th block of `stride` numbers above `first`."""

    first: int
    stride: int
    seed: int

    def at(self, index: int) -> int:
        return self.place(index, mix(self.seed, index))

    def place(self, index: int, scramble: int) -> int:
        """Return `at(index)` for a caller that has computed `mix(seed, index)` already."""
        return self.first + index * self.stride + scramble % self.stride

    def index_after(self, record_id: int) -> int:
        """Return the index of the first id greater than `record_id`, in constant time."""
        if record_id < self.first:
            return 0
        index = (record_id - self.first) // self.stride
        return index if self.at(index) > record_id else index + 1

    def index_of(self, record_id: int) -> int | None:
        """Return the index of exactly this id; None in a gap of the series."""
        index = self.index_after(record_id - 1)
        return index if self.at(index) == record_id else None
