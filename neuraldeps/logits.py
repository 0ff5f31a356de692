"""Stores of logits, laid out alike wherever the logits come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.stores import ShardedArray, provenance, rows_per_shard, to_be_written


def lay_out_logits(
    path: str,
    coords: xr.Dataset,
    *,
    made_by: str,
    config: Mapping[str, Any],
    sources: Mapping[str, str],
    rows: int | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> ShardedArray:
    """Lay out a store of logits.

    Parameters
    ----------
    path : str
        Declared path of the finished store.
    coords : xarray.Dataset
        Coordinates along `sample` and `category`, which are carried over.
    made_by : str
        Name of the rule.
    config, sources : mapping
        For `neuraldeps.stores.provenance`.
    rows : int, optional
        Rows per shard; 32 MiB worth of them by default.
    attrs : mapping, optional
        Further attributes; what they say must follow from `config` and `sources`.

    Returns
    -------
    ShardedArray
        `logits` (sample, category), float32.
    """
    shape = (coords.sizes["sample"], coords.sizes["category"])
    title = "Logits of every image: raw, neither centred nor normalised"
    template = xr.Dataset(
        {"logits": (("sample", "category"), to_be_written(shape, np.float32))},
        coords=coords.coords,
        attrs={
            **(attrs or {}),
            **provenance(
                made_by, title, config=config, sources=sources, packages=("torch", "timm")
            ),
        },
    )
    template["logits"].attrs = {"long_name": "logit", "units": "logit"}
    return ShardedArray(template, "logits", path, rows or rows_per_shard(4 * shape[1]))
