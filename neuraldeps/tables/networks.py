"""The table of networks: accuracy, size, mean logit and the bound on the rank."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.networks.card import NetworkCard
from neuraldeps.tables.columns import Column

NETWORKS = {
    "model": Column("model"),
    "img_size": Column("img_size", "d"),
    "top1": Column("top1", ".3f"),
    "top1_err": Column("top1_err", ".3f"),
    "top5": Column("top5", ".3f"),
    "top5_err": Column("top5_err", ".3f"),
    "param_count": Column("param_count", ".2f"),
    "crop_pct": Column("crop_pct", ".3g"),
    "interpolation": Column("interpolation"),
    "mean_logit": Column("mean logit", ".3f"),
    "n_categories": Column("categories", "d"),
    "rank_bound": Column("rank bound", "d"),
}


def top_accuracy(
    logits: xr.Dataset, ranks: Sequence[int] = (1, 5), rows: int | None = None
) -> tuple[list[float], float]:
    """Top-k accuracies over the labelled images and the mean logit over all, block by block.

    Parameters
    ----------
    logits : xarray.Dataset
        Logits store: `logits` (sample, category), `label` (sample), -1 = none, if there are any.
    ranks : sequence of int
        The k of each accuracy.
    rows : int, optional
        Images held in memory at a time; by default as many as take 32 MiB.

    Returns
    -------
    list of float
        Fraction of labelled images whose label has fewer than k larger logits (an equal logit of
        an earlier category counts as larger, as in NumPy's arg-max); NaN where no image has a label.
    float
        Mean logit in float64, over the categories that are not masked.
    """
    masked = logits.attrs.get("masked_categories", [])
    n_samples, n_categories = logits.sizes["sample"], logits.sizes["category"]
    step = rows or max(1, 2**23 // n_categories)
    index = pd.Index(logits.category.values)
    label = logits.label.values if "label" in logits else np.full(n_samples, -1)
    hits, labelled, total = np.zeros(len(ranks)), 0, 0.0
    for first in range(0, n_samples, step):
        block = slice(first, first + step)
        values = logits.logits.isel(sample=block).transpose("sample", "category").values
        total += float(np.delete(values, masked, axis=1).sum(dtype=np.float64))
        position = index.get_indexer(label[block])
        known = position >= 0
        rank = _rank_of_label(values[known], position[known])
        hits += [np.count_nonzero(rank < k) for k in ranks]
        labelled += int(known.sum())
    mean = total / (n_samples * (n_categories - len(masked)))
    return [float(hit) / labelled if labelled else float("nan") for hit in hits], mean


def _rank_of_label(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(values, position[:, np.newaxis], axis=1)
    is_earlier = np.arange(values.shape[1]) < position[:, np.newaxis]
    return np.count_nonzero((values > own) | ((values == own) & is_earlier), axis=1)


def networks_table(
    networks: Mapping[str, tuple[xr.Dataset, NetworkCard | None]],
) -> pd.DataFrame:
    """The columns of timm's own results files, the mean logit and the bound on the rank.

    Parameters
    ----------
    networks : mapping of str to (xarray.Dataset, NetworkCard or None)
        Per network its logits on the test split and its card; none of imported logits.

    Returns
    -------
    pandas.DataFrame
        A row per network.
    """
    rows = [_network_row(model, *network) for model, network in networks.items()]
    return pd.DataFrame(rows, columns=list(NETWORKS)).astype(
        {"img_size": "Int64", "rank_bound": "Int64"}
    )


def _network_row(model: str, logits: xr.Dataset, card: NetworkCard | None) -> dict[str, Any]:
    (top1, top5), mean_logit = top_accuracy(logits)
    return {
        "model": model,
        "img_size": card.input_size[-1] if card else None,
        "top1": 100 * top1,
        "top1_err": 100 * (1 - top1),
        "top5": 100 * top5,
        "top5_err": 100 * (1 - top5),
        "param_count": card.param_count / 1e6 if card else None,
        "crop_pct": card.crop_pct if card else None,
        "interpolation": card.interpolation if card else None,
        "mean_logit": mean_logit,
        "n_categories": logits.sizes["category"],
        "rank_bound": card.rank_bound if card else None,
    }


def networks_notes(test: str) -> list[str]:
    """What the columns beyond timm's are.

    Parameters
    ----------
    test : str
        The split that accuracies are over.

    Returns
    -------
    list of str
        One note each.
    """
    return [
        f"Split {test}; param_count in millions. Columns and their order are those of timm's results files, then come the mean "
        "logit over all images and categories, and the bound min(categories, features + 1) on the "
        "rank of the logits.",
    ]
