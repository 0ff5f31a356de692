"""Stores: laid out, written whole or not at all, and opened."""

from neuraldeps.stores.provenance import content_digest, file_digest, provenance
from neuraldeps.stores.publish import aside, move
from neuraldeps.stores.sharded import ShardedArray, rows_per_shard
from neuraldeps.stores.store import (
    fingerprint,
    map_array,
    open_array,
    open_store,
    strings,
    to_be_written,
    write_store,
)

__all__ = [
    "ShardedArray",
    "aside",
    "content_digest",
    "file_digest",
    "fingerprint",
    "map_array",
    "move",
    "open_array",
    "open_store",
    "provenance",
    "rows_per_shard",
    "strings",
    "to_be_written",
    "write_store",
]
