"""The tables of stability over halves of the images, and of agreement between pairs of networks."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.stability.agreement import agreement
from neuraldeps.tables.columns import Column

STABILITY = {
    "source": Column("source"),
    "target": Column("target"),
    "over": Column("over"),
    "support_size": Column("size", "d"),
    "n_categories": Column("categories", "d"),
    "stability_mean": Column("mean stability", ".3f"),
    "stability_mean_low": Column("from", ".3f"),
    "stability_mean_high": Column("to", ".3f"),
    "stability_q1": Column("q1", ".2f"),
    "stability_median": Column("median", ".2f"),
    "stability_q3": Column("q3", ".2f"),
    "unique": Column("no near-equal other (% of categories)", ".1f"),
    "near_equal_median": Column("near-equal supports, median", ".0f"),
    "near_equal_most": Column("most", "d"),
}
AGREEMENT = {
    "first": Column("first pair"),
    "second": Column("second pair"),
    "support_size": Column("size", "d"),
    "n_categories": Column("categories", "d"),
    "agreement_mean": Column("mean agreement", ".3f"),
    "same": Column("same sources (% of categories)", ".1f"),
    "shared": Column("shared sources (%)", ".1f"),
}


def stability_table(stores: Iterable[xr.Dataset]) -> pd.DataFrame:
    """One row per pair and size: how stable the best subsets are, and how many others are near.

    Parameters
    ----------
    stores : iterable of xarray.Dataset
        Stability stores.

    Returns
    -------
    pandas.DataFrame
        Columns of `STABILITY`.
    """
    rows = []
    for store in stores:
        for place, size in enumerate(store["support_size"].values):
            at = store.isel(support_size=place)
            known = at["stability"].values
            known = known[np.isfinite(known)]
            near = at["n_near_equal"].values
            near = near[near > 0]
            row = {
                "source": store.attrs["source"],
                "target": store.attrs["target"],
                "over": "halves",
                "support_size": int(size),
                "n_categories": len(known),
            }
            if len(known):
                row |= _stability(
                    known,
                    float(at["mean_stability"]),
                    float(at["mean_stability_low"]),
                    float(at["mean_stability_high"]),
                )
            if len(near):
                row |= {
                    "unique": 100 * float((near == 1).mean()),
                    "near_equal_median": float(np.median(near)),
                    "near_equal_most": int(near.max()),
                }
            rows.append(row)
    return pd.DataFrame(rows, columns=list(STABILITY))


def seeds_table(
    subsets: Mapping[str, xr.Dataset], groups: Iterable[Sequence[str]], sizes: Sequence[int]
) -> pd.DataFrame:
    """One row per network and size: how stable its best subsets are over seeds of its training.

    Parameters
    ----------
    subsets : mapping of str to xarray.Dataset
        By the network's name, its best subsets within itself.
    groups : iterable of sequence of str
        Names of networks that differ in nothing but the seed of their training, two or more each.
    sizes : sequence of int
        Support sizes; those beyond what was solved are left out.

    Returns
    -------
    pandas.DataFrame
        Columns of `STABILITY`, without those of near-equal supports; a row has its group's first
        network.
    """
    rows = []
    for names in groups:
        stores = [subsets[name] for name in names]
        for size in sizes:
            if size not in stores[0]["support_size"].values:
                continue
            support = [store["support"].sel(support_size=size).values for store in stores]
            found = agreement(np.stack(support, axis=1), stores[0].sizes["source_category"] - 1)
            known = found.stability[np.isfinite(found.stability)]
            row = {
                "source": names[0],
                "target": names[0],
                "over": f"{len(names)} seeds",
                "support_size": int(size),
                "n_categories": len(known),
            }
            if len(known):
                row |= _stability(known, found.mean, found.mean_low, found.mean_high)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(STABILITY))


def _stability(known: np.ndarray, mean: float, low: float, high: float) -> dict[str, float]:
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    return {
        "stability_mean": mean,
        "stability_mean_low": low,
        "stability_mean_high": high,
        "stability_q1": float(q1),
        "stability_median": float(median),
        "stability_q3": float(q3),
    }


def agreement_table(subsets: Sequence[xr.Dataset], sizes: Sequence[int]) -> pd.DataFrame:
    """Whether two pairs of networks find the same sources for the same category.

    Parameters
    ----------
    subsets : sequence of xarray.Dataset
        Stores of best subsets, one per ordered pair, over the same categories.
    sizes : sequence of int
        Support sizes; those beyond what was solved are left out.

    Returns
    -------
    pandas.DataFrame
        Columns of `AGREEMENT`: a row per two pairs and size.
    """
    rows = []
    for one, other in combinations(subsets, 2):
        for size in sizes:
            if size not in one["support_size"].values:
                continue
            pair = np.stack(
                [store["support"].sel(support_size=size).values for store in (one, other)], axis=1
            )
            found = agreement(pair, one.sizes["source_category"] - 1)
            shared = [len({*a[a >= 0]} & {*b[b >= 0]}) for a, b in pair]
            n_sources = (pair >= 0).sum(axis=2).max(axis=1)
            known = n_sources > 0
            share = np.array(shared)[known] / n_sources[known]
            row = {
                "first": f"{one.attrs['source']} -> {one.attrs['target']}",
                "second": f"{other.attrs['source']} -> {other.attrs['target']}",
                "support_size": size,
                "n_categories": int(known.sum()),
            }
            if known.any():
                row |= {
                    "agreement_mean": found.mean,
                    "same": 100 * float((share == 1).mean()),
                    "shared": 100 * float(share.mean()),
                }
            rows.append(row)
    return pd.DataFrame(rows, columns=list(AGREEMENT))


STABILITY_NOTES = [
    "Best subsets of random halves of the images, without replacement, held against each other by "
    "Nogueira's stability (JMLR 18, 2018): 1 where all have the same sources, 0 on average where sources "
    "are drawn at random. The interval of the mean is at 95 % and over the draws; it takes halves as "
    "independent, although two of each split complement each other.",
    "Near-equal supports differ from the best subset by one source and have an error within 1 % of its "
    "own, on all images; the best subset is one of them. Supports that differ by more are not counted.",
    "Over seeds: the best subsets of networks that differ in the seed of their training alone (train.seed), held "
    "against each other in the same way; the row bears the first one's name.",
]
AGREEMENT_NOTES = [
    "The stability of the two best subsets of a category, corrected for chance, on average over the "
    "categories; and the share of sources that both have.",
]
