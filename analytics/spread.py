"""How times are spread: counts in buckets that add up, from which percentiles are read. Never are percentiles averaged.

Bucket 0 is less than a millisecond. From there a bucket is a millisecond wide up to 16 ms, and above that a sixteenth of a power of two: what is read is
off by 1/32 (3.2 %) at most. In whole numbers, so that every machine finds the same bucket.
"""

from __future__ import annotations

from collections.abc import Mapping

#: buckets of a power of two, as bits
_BITS = 4
_PARTS = 1 << _BITS
#: beyond it all times are one (some 570 years)
BUCKET_MAX = 1_023


def bucket_of(us: int) -> int:
    ms = us // 1000
    if ms < _PARTS:
        return max(0, ms)
    shift = ms.bit_length() - 1 - _BITS
    return min(BUCKET_MAX, (shift << _BITS) + (ms >> shift))


def bounds_ms(bucket: int) -> tuple[int, int]:
    """From, and up to but not including."""
    if bucket < _PARTS:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    low = ((bucket & (_PARTS - 1)) | _PARTS) << shift
    return low, low + (1 << shift)


def percentile_ms(buckets: Mapping[int, int], total: int, share: float) -> float | None:
    """The time within which `share` of `total` were: the middle of its bucket. What `buckets` lack of `total` took no time. None of none."""
    if total <= 0:
        return None
    rank = max(1, -(-int(share * 1_000_000) * total // 1_000_000))
    passed = total - sum(buckets.values())
    if rank <= passed:
        return 0.0
    for bucket in sorted(buckets):
        passed += buckets[bucket]
        if rank <= passed:
            low, high = bounds_ms(bucket)
            return (low + high) / 2
    return (sum(bounds_ms(max(buckets))) / 2) if buckets else 0.0
