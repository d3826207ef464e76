"""Record ids: pure arithmetic from a seed and a running index, with gaps as a real portal has them."""

from dataclasses import dataclass

_PRIME = 2_654_435_761
_MASK = 0xFFFF_FFFF


def mix(seed: int, index: int) -> int:
    """Scramble two numbers into one of 32 bits; the same everywhere and always, unlike `hash`."""
    mixed = (index * _PRIME + seed * 40_503 + 0x9E37_79B9) & _MASK
    mixed = ((mixed ^ (mixed >> 15)) * 0x85EB_CA6B) & _MASK
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2_AE35) & _MASK
    return mixed ^ (mixed >> 16)


@dataclass(frozen=True)
class IdSeries:
    """Ascending, not contiguous ids; index `i` lies anywhere in the i-th block of `stride` numbers above `first`."""

    first: int
    stride: int
    seed: int

    def at(self, index: int) -> int:
        """Id of the record with that index."""
        return self.place(index, mix(self.seed, index))

    def place(self, index: int, scramble: int) -> int:
        """Id of that record for a caller that has `mix(seed, index)` already."""
        return self.first + index * self.stride + scramble % self.stride

    def index_after(self, record_id: int) -> int:
        """Index of the first record whose id is greater than `record_id`, in constant time."""
        if record_id < self.first:
            return 0
        index = (record_id - self.first) // self.stride
        return index if self.at(index) > record_id else index + 1

    def index_of(self, record_id: int) -> int | None:
        """Index of the record with exactly this id; None where the series has a gap."""
        index = self.index_after(record_id - 1)
        return index if self.at(index) == record_id else None
