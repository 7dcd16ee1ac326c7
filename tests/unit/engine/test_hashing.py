from __future__ import annotations

import pytest

from tally.engine.hashing import bucket


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 with seed 0, after its published description."""
    mask = 0xFFFFFFFF

    def mixed(k: int) -> int:
        k = k * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        return k * 0x1B873593 & mask

    h = 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        h ^= mixed(int.from_bytes(data[start : start + 4], "little"))
        h = (h << 13 | h >> 19) & mask
        h = (h * 5 + 0xE6546B64) & mask
    if data[whole:]:
        h ^= mixed(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def test_the_hash_below_gives_the_published_values() -> None:
    assert murmur3(b"test") == 0xBA6BD213
    assert murmur3(b"Hello, world!") == 0xC0363E43
    assert murmur3(b"The quick brown fox jumps over the lazy dog") == 0x2E4FF723


@pytest.mark.parametrize("bins", [1, 7, 512, 2048])
@pytest.mark.parametrize(("name", "value"), [("color", "red"), ("région", "nord"), ("a", "ab")])
def test_a_bucket_is_the_hash_of_name_and_value_modulo_the_bins(
    name: str, value: str, bins: int
) -> None:
    assert bucket(name, value, bins) == murmur3(f"{name}${value}".encode()) % bins
