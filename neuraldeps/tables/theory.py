"""What redundancy and sparsity amount to: a row per network, and per pair and penalty."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.networks.card import NetworkCard
from neuraldeps.tables.columns import Column

REDUNDANT = (0.01, 0.1)  # of err(0) / E[f_i^2]
REDUNDANCY = {
    "model": Column("model"),
    "n_categories": Column("categories", "d"),
    "n_samples": Column("images", "d"),
    "features": Column("features + 1", "d"),
    "rank": Column("rank", "d"),
    "n_exact_zero": Column("err(0) exactly 0", "d"),
    **{
        f"n_below_{share:g}": Column(f"err(0) under {100 * share:g} % of E[f_i^2]", "d")
        for share in REDUNDANT
    },
    "err0_relative_median": Column("median err(0) / E[f_i^2]", ".3g"),
    "bound_relative_median": Column("median bound of it", ".3g"),
    "tolerance": Column("tolerance", ".2g"),
}
SPARSITY = {
    "source": Column("source"),
    "target": Column("target"),
    "at": Column("at"),
    "n_solutions": Column("solutions", "d"),
    "screened": Column("screened by Theorem 3 (% of sources)", ".1f"),
    "targets_screened": Column("targets with any screened (%)", ".1f"),
    "violations": Column("violations", "d"),
    "supposed": Column("supposed 0 by Conjecture 1 (% of sources)", ".1f"),
    "precision": Column("precision (%)", ".3f"),
    "recall": Column("recall (%)", ".1f"),
    "counterexamples": Column("counter-examples", "d"),
    "support_supposed": Column("support that was supposed 0 (%)", ".1f"),
    "targets_with_counterexample": Column("targets with a counter-example (%)", ".1f"),
}


def redundancy_table(
    stores: Iterable[xr.Dataset], cards: Mapping[str, NetworkCard]
) -> pd.DataFrame:
    """One row per network: the rank of its logits, and how many categories are redundant.

    Parameters
    ----------
    stores : iterable of xarray.Dataset
        Redundancy stores.
    cards : mapping of str to NetworkCard
        By network; none of imported logits.

    Returns
    -------
    pandas.DataFrame
        Columns of `REDUNDANCY`.
    """
    rows = []
    for store in stores:
        card = cards.get(store.attrs["model"])
        relative = store["err0_relative"].values
        rows.append(
            {
                "model": store.attrs["model"],
                "n_categories": len(relative),
                "n_samples": store.attrs["n_samples"],
                "features": card.feature_dimension + 1 if card else None,
                "rank": store.attrs["rank"],
                "n_exact_zero": int(store["is_exact_zero"].sum()),
                **{f"n_below_{share:g}": int((relative < share).sum()) for share in REDUNDANT},
                "err0_relative_median": float(np.median(relative)),
                "bound_relative_median": float(np.median(store["bound_relative"].values)),
                "tolerance": store.attrs["tolerance"],
            }
        )
    return pd.DataFrame(rows, columns=list(REDUNDANCY)).astype({"features": "Int64"})


def sparsity_table(stores: Iterable[xr.Dataset], sizes: Sequence[int]) -> pd.DataFrame:
    """One row per pair and penalty or size: Theorem 3 and Conjecture 1 over all targets.

    Parameters
    ----------
    stores : iterable of xarray.Dataset
        Sparsity stores.
    sizes : sequence of int
        Support sizes that have a row; those that were not solved are left out.

    Returns
    -------
    pandas.DataFrame
        Columns of `SPARSITY`; empty cells where there is nothing to take a share of.
    """
    rows = []
    for store in stores:
        at: list[tuple[str, xr.Dataset]] = []
        for size in sizes:
            if size in store["support_size"].values:
                counts = {name: store[name].sel(support_size=size) for name in _COUNTS}
                at.append((f"size {size}", xr.Dataset(counts)))
        for place in range(store.sizes["penalty"]):
            counts = {name: store[f"{name}_at_penalty"].isel(penalty=place) for name in _COUNTS}
            kind, value = (store[name].values[place] for name in ("penalty_kind", "penalty_value"))
            at.append((f"{kind} {value:g}", xr.Dataset(counts)))
        rows += [_sparsity_row(store, where, counts) for where, counts in at]
    return pd.DataFrame(rows, columns=list(SPARSITY))


_COUNTS = ("n_screened", "n_screened_wrong", "n_supposed", "n_supposed_wrong", "n_sources")


def _sparsity_row(store: xr.Dataset, at: str, counts: xr.Dataset) -> dict[str, Any]:
    """Shares of sources and of targets, in percent, over the targets that have a solution."""
    has = counts["n_sources"].values > 0
    total = {name: int(counts[name].values[has].sum()) for name in _COUNTS}
    n_targets = int(has.sum())
    every = n_targets * int(store.attrs["n_allowed"])
    right = total["n_supposed"] - total["n_supposed_wrong"]
    return {
        "source": store.attrs["source"],
        "target": store.attrs["target"],
        "at": at,
        "n_solutions": n_targets,
        "screened": _percent(total["n_screened"], every),
        "targets_screened": _percent((counts["n_screened"].values[has] > 0).sum(), n_targets),
        "violations": total["n_screened_wrong"],
        "supposed": _percent(total["n_supposed"], every),
        "precision": _percent(right, total["n_supposed"]),
        "recall": _percent(right, every - total["n_sources"]),
        "counterexamples": total["n_supposed_wrong"],
        "support_supposed": _percent(total["n_supposed_wrong"], total["n_sources"]),
        "targets_with_counterexample": _percent(
            (counts["n_supposed_wrong"].values[has] > 0).sum(), n_targets
        ),
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * float(part) / whole if whole else None


REDUNDANCY_NOTES = [
    "err(0) is the least mean square error with which any combination of all other categories "
    "predicts a logit, on the images that dependencies are fitted on; it is exactly 0 for a category "
    "that the null space of the logits touches.",
    "The rank counts singular values of the logits, each category scaled to a mean square of 1, above "
    "the tolerance: what rounding to the logits' precision can make of a zero. A linear classifier on d "
    "features has a rank of at most d + 1. With fewer images than that, the images bound it.",
    "The bound is Remark 3's, from the least eigenvalue above the tolerance alone.",
]
SPARSITY_NOTES = [
    "Every target that has a source at that penalty or size, CovLasso's solution. A violation of "
    "Theorem 3, or of Eq. 5 on any path, fails the run.",
    "Conjecture 1 supposes that a source with |E[f_j g_i]| < lambda / 2 has no part in the solution. "
    "Precision: of those supposed, how many have none. Recall: of those that have none, how many are "
    "supposed. Since nearly all sources have no part in a sparse solution, what tests the conjecture is "
    "the share of the support that was supposed to be 0.",
    "Theorem 3 is given err(0) within a network, where it is measured, and 0 between two, which screens "
    "less.",
]
