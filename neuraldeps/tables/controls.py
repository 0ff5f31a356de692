"""The table of controls, and that of planted dependencies."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.categories import categories
from neuraldeps.controls.kinds import CONTROLS as KINDS
from neuraldeps.controls.planting import NOISE, SIZES, Plan, coefficient_error_bound
from neuraldeps.tables.columns import Column
from neuraldeps.tables.dependencies import DISTRIBUTION, WITHIN, distribution_row

SHOWN = ("refit", "subset")  # estimators
CLAIM = 3 * NOISE  # relative root mean square error below which few sources are all there is
SHARED = [  # with the distribution over all categories
    "n_categories",
    *(f"rel_err_share_below_{limit}" for limit in WITHIN),
    "rel_err_median",
    "pos_acc_median",
]
CONTROLS = {
    "source": Column("source"),
    "target": Column("target"),
    "control": Column("control"),
    "sources_by": Column("sources by"),
    "support_size": Column("size", "d"),
    **{name: DISTRIBUTION[name] for name in SHARED},
}
PLANTED = {
    "model": Column("model"),
    "category": Column("category"),
    "is_planted": Column("planted"),
    "support_size": Column("size", "d"),
    "sources": Column("sources", is_long=True),
    "found_by_subset": Column("found by subset"),
    "found_by_lasso": Column("found by lasso"),
    "coef_error": Column("error of coef", ".2g"),
    "coef_error_bound": Column("bound by noise", ".2g"),
    "least_error": Column("rms error at 5 (%)", ".2f"),
    "is_claimed": Column("claimed"),
}


def controls_table(
    evaluations: Iterable[xr.Dataset],
    controls: Iterable[xr.Dataset],
    sizes: Sequence[int],
    *,
    split: str,
) -> pd.DataFrame:
    """Share of categories within 10, 20, 30 % and accuracy kept, of dependencies and of controls.

    Parameters
    ----------
    evaluations : iterable of xarray.Dataset
        Evaluation stores of the pairs and of their control networks.
    controls : iterable of xarray.Dataset
        Stores of random, nearest and all sources.
    sizes : sequence of int
        Support sizes that have rows; larger ones than were solved are left out.
    split : str
        The split that judges.

    Returns
    -------
    pandas.DataFrame
        Columns of `CONTROLS`, by pair; shares, errors and accuracies in percent.
    """
    rows = []
    for evaluation in evaluations:
        at = evaluation.sel(split=split)
        for name in SHOWN:
            for size in sizes:
                if size in at["support_size"].values:
                    of = at.sel(estimator=name, support_size=size)
                    rows.append(_row(of, name, size))
    for store in controls:
        for place in range(store.sizes["predictor"]):
            of = store.isel(predictor=place)
            name, size = str(of["predictor"].values), int(of["predictor_size"])
            if size in sizes or name in ("dense", "with own"):
                rows.append(_row(of, name, size))
    columns = [*CONTROLS, "pos_acc_median_original"]
    table = pd.DataFrame(rows, columns=columns)
    order = {name: place for place, name in enumerate(["none", *KINDS])}
    keys = ["source", "target", "control", "sources_by", "support_size"]
    return table.sort_values(
        keys, key=lambda one: one.map(order) if one.name == "control" else one, kind="stable"
    ).reset_index(drop=True)


def _row(measured: xr.Dataset, sources_by: str, size: int) -> dict[str, Any]:
    (source, control), (target, other) = (
        str(measured.attrs[side]).partition("@")[::2] for side in ("source", "target")
    )
    error = measured["relative_error_positive"].values
    row = distribution_row(
        measured,
        f"support size {size}",
        sources_by,
        np.full(error.shape, size),
        error,
        measured["positive_accuracy"].values,
    )
    return row | {
        "source": source,
        "target": target,
        "control": control or other or "none",
        "sources_by": sources_by,
        "support_size": size,
    }


def planted_table(
    subsets: xr.Dataset, paths: xr.Dataset, second_moment: np.ndarray, plan: Plan
) -> pd.DataFrame:
    """Which planted dependencies were found, with their coefficients, and what else was claimed.

    Parameters
    ----------
    subsets, paths : xarray.Dataset
        Stores of the best subsets and of CovLasso's paths of the planted network.
    second_moment : ndarray, shape (n, n), float64
        Of the planted network, squared logits.
    plan : Plan
        What was planted.

    Returns
    -------
    pandas.DataFrame
        Columns of `PLANTED`: a row per planted and per untouched category.
    """
    names = categories(subsets, "target_category")
    most = min(max(SIZES), int(subsets["support_size"].values[-1]))
    error = subsets["squared_error"].sel(support_size=most).values
    power = subsets["target_second_moment"].values
    rows = []
    for row, category in enumerate([*plan.planted, *plan.untouched]):
        least = float(np.sqrt(max(error[category], 0.0) / power[category]))
        found: dict[str, Any] = {
            "model": subsets.attrs["target"],
            "category": names[category].short,
            "is_planted": row < len(plan.planted),
            "least_error": 100 * least,
            "is_claimed": least < CLAIM,
        }
        if row < len(plan.planted):
            found |= _recovery(subsets, paths, second_moment, plan, row)
        rows.append(found)
    return pd.DataFrame(rows, columns=list(PLANTED)).astype({"support_size": "Int64"})


def _recovery(
    subsets: xr.Dataset, paths: xr.Dataset, second_moment: np.ndarray, plan: Plan, row: int
) -> dict[str, Any]:
    """How one planted dependency was found."""
    true = plan.support[row][plan.support[row] >= 0]
    size, category = len(true), int(plan.planted[row])
    names = categories(subsets, "source_category")
    shown: dict[str, Any] = {
        "support_size": size,
        "sources": "; ".join(
            f"{coef:+.3f} {names[source].short}"
            for source, coef in zip(true, plan.coef[row], strict=False)
        ),
    }
    if size > int(subsets["support_size"].values[-1]):
        return shown
    at = subsets.sel(target_category=category, support_size=size)
    by_subset = at["support"].values[at["support"].values >= 0]
    lasso = paths.sel(target_category=category, support_size=size)["support_at_support_size"].values
    is_found = set(by_subset.tolist()) == set(true.tolist())
    shown |= {
        "found_by_subset": is_found,
        "found_by_lasso": set(lasso[lasso >= 0].tolist()) == set(true.tolist()),
    }
    if is_found:
        coef = at["coef"].values[: len(by_subset)][np.argsort(by_subset)]
        error = np.linalg.norm(coef - plan.coef[row][:size])
        bound = coefficient_error_bound(second_moment, true, plan.noise[row])
        shown |= {"coef_error": float(error), "coef_error_bound": bound}
    return shown


CONTROLS_NOTES = [
    "control: none is the network itself, with sources by CovLasso's categories (refit) and by the best "
    "subset; size 1 of the latter is the best single source. random and nearest: as many sources drawn "
    "at random, and those with the largest cosine of the second moment; own: the category of the same "
    "name in the other network, alone; with own: that and the best subset of others; dense: all sources "
    "but that one. All "
    "have least-squares coefficients from the images that dependencies are fitted on.",
    *(f"{kind}: {control.meaning}." for kind, control in KINDS.items() if kind != "planted"),
    "Errors and accuracies are over each category's own images of the split that judges; Gaussian logits "
    "have no labels, so the largest logit stands for it. Accuracy is with this one logit replaced.",
    "Where an untrained network's logits hardly differ from image to image, any one of them predicts "
    "another: errors are then small and mean nothing; its accuracy tells.",
]
PLANTED_NOTES = [
    f"Rows of the classifier were replaced by known combinations of 1 to 5 others, plus a random combination "
    f"of all others of {100 * NOISE:g} % of its root mean square.",
    "found by: whether the support of the true size has the true sources and no other. Error of coef is "
    "the Euclidean distance from the true coefficients, and its bound what the noise allows.",
    f"Claimed: the best subset of at most 5 misses the logit by less than {100 * CLAIM:g} % of its root mean "
    "square. Of categories that are neither planted nor a source, none should be.",
]
