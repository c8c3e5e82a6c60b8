"""Partitions: the slices of a stream. They have no item in common, and together all items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdk_streaming.x import Endpoint


def of_partition(numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]) -> Sequence[int]:
    """Those of these items that are in the requested partition; all, if the stream has no partitions."""
    if not endpoint.partitions or "partition" not in params:
        return numbers
    first = int(params["partition"]) - 1
    return [number for number in numbers if number % endpoint.partitions == first]
