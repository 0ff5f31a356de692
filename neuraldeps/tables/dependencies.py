"""Table 1, its distribution over all categories, and the sanity row of every network.

Frames hold plain numbers under machine-readable names (errors relative to the logit and accuracies
in percent, absolute errors in logits); `write_table` turns one into CSV, and into Markdown and LaTeX
with the numbers formatted as the paper formats them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.dependencies.cases import Case
from neuraldeps.estimators import ESTIMATORS, WITH_PENALTY
from neuraldeps.tables.columns import Column
from neuraldeps.tables.paper import PAPER_CATEGORIES, paper_backbone, paper_numbers

WITHIN = (10, 20, 30)  # % of the logit
PSEUDO = "pseudo_"  # of columns where the network's own top-1 stands for labels
OVER_POSITIVES = re.compile(r"(abs_err|rel_err|acc|pos_acc)(?!.*_all$)")
TABLE1 = {
    "source": Column("source"),
    "target": Column("target"),
    "category": Column("category", is_long=True),
    "estimator": Column("estimator"),
    "dependency": Column("dependency", is_long=True),
    "support_size": Column("size", "d"),
    "alpha": Column("alpha", ".3g"),
    "abs_err": Column("abs err", ".3f"),
    "rel_err": Column("rel err (%)", ".1f"),
    "abs_err_all": Column("abs err, all images", ".3f"),
    "rel_err_all": Column("rel err, all images (%)", ".1f"),
    "acc": Column("acc (original) (%)", ".1f", original="acc_original"),
    "pos_acc": Column("pos acc (original) (%)", ".1f", original="pos_acc_original"),
}
DISTRIBUTION = {
    "source": Column("source"),
    "target": Column("target"),
    "at": Column("at"),
    "estimator": Column("estimator"),
    "n_categories": Column("categories", "d"),
    "support_size_median": Column("median size", ".0f"),
    "rel_err_q1": Column("rel err q1 (%)", ".1f"),
    "rel_err_median": Column("rel err median (%)", ".1f"),
    "rel_err_q3": Column("rel err q3 (%)", ".1f"),
    **{
        f"rel_err_share_below_{limit}": Column(f"rel err under {limit} % (% of categories)", ".1f")
        for limit in WITHIN
    },
    "pos_acc_median": Column(
        "pos acc median (original) (%)", ".1f", original="pos_acc_median_original"
    ),
    "pos_acc_drop_q1": Column("pos acc drop q1 (points)", ".1f"),
    "pos_acc_drop_median": Column("pos acc drop median (points)", ".1f"),
    "pos_acc_drop_q3": Column("pos acc drop q3 (points)", ".1f"),
}


def table1(
    cases: Iterable[Case],
    paper: pd.DataFrame | None = None,
    *,
    split: str = "test",
    with_character: bool = True,
) -> pd.DataFrame:
    """One row per case and estimator, on one split; the paper's own below those of its method.

    Parameters
    ----------
    cases : iterable of Case
        The chosen dependencies.
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; given only where the data set is ImageNet.
    split : str
        The split that judges.
    with_character : bool
        Whether a name is followed by its character, which LaTeX can seldom print.

    Returns
    -------
    pandas.DataFrame
        Columns of `TABLE1` and what its headings leave out; errors and accuracies in
        percent.
    """
    rows: list[dict[str, Any]] = []
    for case in cases:
        by_name = {name: _case_row(case, split, name, with_character) for name in ESTIMATORS}
        rows += [by_name[name] for name in WITH_PENALTY]
        if paper is not None and (row := _paper_row(case, paper)):
            rows.append(row)
        rows += [row for name, row in by_name.items() if name not in WITH_PENALTY]
    columns = [*TABLE1, "category_code", "relative_alpha", "acc_original", "pos_acc_original"]
    return pd.DataFrame(rows, columns=columns).astype({"support_size": "Int64"})


def _case_row(case: Case, split: str, estimator: str, with_character: bool) -> dict[str, Any]:
    metrics, original = case.metrics[split][estimator], case.original[split]
    has_alpha = ESTIMATORS[estimator].has_penalty
    return {
        "source": case.source,
        "target": case.target,
        "category": case.category.label if with_character else case.category.short,
        "category_code": case.category.code,
        "estimator": estimator,
        "dependency": case.equation(estimator, with_character=with_character),
        "support_size": len(case.terms[estimator]),
        "alpha": case.alpha if has_alpha else np.nan,
        "relative_alpha": case.relative_alpha if has_alpha else np.nan,
        "abs_err": metrics["absolute_error_positive"],
        "rel_err": 100 * metrics["relative_error_positive"],
        "abs_err_all": metrics["absolute_error"],
        "rel_err_all": 100 * metrics["relative_error"],
        "acc": 100 * metrics["accuracy"],
        "acc_original": 100 * original["accuracy"],
        "pos_acc": 100 * metrics["positive_accuracy"],
        "pos_acc_original": 100 * original["positive_accuracy"],
    }


def _paper_row(case: Case, paper: pd.DataFrame) -> dict[str, Any] | None:
    source, target = paper_backbone(case.source), paper_backbone(case.target)
    if source is None or target is None:
        return None
    backbone = source if case.source == case.target else f"{source} -> {target}"
    rows = paper_numbers(paper, 1, backbone=backbone)
    if rows.empty:
        return None
    values = rows.set_index(["metric", "variant"])["value"].astype(float)
    return {
        "source": case.source,
        "target": case.target,
        "category": PAPER_CATEGORIES.get(backbone),
        "estimator": "paper",
        "abs_err": values["abs_err", "ours"],
        "rel_err": values["rel_err", "ours"],
        "acc": values["acc", "ours"],
        "acc_original": values["acc", "original"],
        "pos_acc": values["pos_acc", "ours"],
        "pos_acc_original": values["pos_acc", "original"],
    }


def table1_distribution(
    evaluations: Iterable[xr.Dataset], support_sizes: Sequence[int], *, split: str = "test"
) -> pd.DataFrame:
    """Quartiles over all categories, on one split, at support sizes and at the stored penalties.

    A category without positive images in the split is left out; `n_categories` counts the others.
    Support sizes beyond the stored path are left out too.

    Parameters
    ----------
    evaluations : iterable of xarray.Dataset
        Evaluation stores, one per ordered pair.
    support_sizes : sequence of int
        Sizes that get rows.
    split : str
        The split that judges.

    Returns
    -------
    pandas.DataFrame
        Columns of `DISTRIBUTION`; errors and accuracies in percent.
    """
    rows: list[dict[str, Any]] = []
    for evaluation in evaluations:
        test = evaluation.sel(split=split)
        for size in support_sizes:
            if size in evaluation.support_size.values:
                rows += _size_rows(test, size)
        for penalty in range(evaluation.sizes["penalty"]):
            rows += _penalty_rows(test, penalty)
    return pd.DataFrame(rows, columns=[*DISTRIBUTION, "pos_acc_median_original"])


def _size_rows(test: xr.Dataset, size: int) -> list[dict[str, Any]]:
    at = test.sel(support_size=size)
    return [
        distribution_row(
            test,
            f"support size {size}",
            estimator,
            (at.support.sel(estimator=estimator) >= 0).sum("slot").values,
            at.relative_error_positive.sel(estimator=estimator).values,
            at.positive_accuracy.sel(estimator=estimator).values,
        )
        for estimator in ESTIMATORS
    ]


def _penalty_rows(test: xr.Dataset, penalty: int) -> list[dict[str, Any]]:
    at = test.isel(penalty=penalty)
    name = {"alpha": "alpha", "relative_alpha": "alpha / alpha_max"}[str(at.penalty_kind.values)]
    return [
        distribution_row(
            test,
            f"{name} = {float(at.penalty_value):g}",
            estimator,
            at.support_size_at_penalty.values,
            at.relative_error_positive_at_penalty.sel(estimator_at_penalty=estimator).values,
            at.positive_accuracy_at_penalty.sel(estimator_at_penalty=estimator).values,
        )
        for estimator in WITH_PENALTY
    ]


def distribution_row(
    test: xr.Dataset,
    at: str,
    estimator: str,
    sizes: np.ndarray,
    relative_error: np.ndarray,
    positive_accuracy: np.ndarray,
) -> dict[str, Any]:
    """One estimator's errors and accuracies over all categories that have images.

    Parameters
    ----------
    test : xarray.Dataset
        With `original_positive_accuracy`, and the pair in its attributes.
    at : str
        Which solutions, in words.
    estimator : str
        Who found them.
    sizes : ndarray of int, shape (T,)
        Sources of each.
    relative_error, positive_accuracy : ndarray, shape (T,), float64
        Over each category's own images, as fractions; NaN where it has none.

    Returns
    -------
    dict
        Columns of `DISTRIBUTION`, in percent.
    """
    counted = np.isfinite(relative_error)
    row: dict[str, Any] = {
        "source": test.attrs["source"],
        "target": test.attrs["target"],
        "at": at,
        "estimator": estimator,
        "n_categories": int(counted.sum()),
    }
    if not counted.any():
        return row
    kept = 100 * positive_accuracy[counted]
    original = 100 * test.original_positive_accuracy.values[counted]
    error = 100 * relative_error[counted]
    return (
        row
        | {"support_size_median": float(np.median(sizes[counted]))}
        | _quartiles("rel_err", error)
        | {f"rel_err_share_below_{limit}": 100 * float(np.mean(error < limit)) for limit in WITHIN}
        | {
            "pos_acc_median": float(np.median(kept)),
            "pos_acc_median_original": float(np.median(original)),
        }
        | _quartiles("pos_acc_drop", original - kept)
    )


def _quartiles(name: str, values: np.ndarray) -> dict[str, float]:
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    return {f"{name}_q1": float(q1), f"{name}_median": float(median), f"{name}_q3": float(q3)}


def is_pseudo(evaluation: xr.Dataset, split: str) -> bool:
    """Whether the network's own top-1 takes the place of the split's labels, which it has not.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store.
    split : str
        One of its splits.

    Returns
    -------
    bool
        Whether positives are pseudo-positives.
    """
    return str(evaluation.attrs.get("positives", {}).get(split, "")).startswith("pseudo")


def name_pseudo_positives(
    frame: pd.DataFrame, columns: Mapping[str, Column]
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Name what was measured over pseudo-positives so, in the frame and in what is shown of it.

    Parameters
    ----------
    frame : pandas.DataFrame
        A table.
    columns : mapping of str to Column
        What is shown of it.

    Returns
    -------
    tuple of pandas.DataFrame and dict
        Both under their new names.

    Examples
    --------
    >>> frame, columns = name_pseudo_positives(pd.DataFrame({"acc": [1.0]}), {"acc": TABLE1["acc"]})
    >>> list(frame), columns["pseudo_acc"].heading
    (['pseudo_acc'], 'own top-1 kept (original) (%)')
    """
    names = {name: f"{PSEUDO}{name}" for name in frame if OVER_POSITIVES.match(str(name))}
    shown = {
        names.get(name, name): replace(
            column,
            heading=_pseudo_heading(name, column.heading) if name in names else column.heading,
            original=names.get(column.original, column.original) if column.original else None,
        )
        for name, column in columns.items()
    }
    return frame.rename(columns=names), shown


def _pseudo_heading(name: str, heading: str) -> str:
    if name.startswith("acc"):
        return heading.replace("acc", "own top-1 kept")
    return (
        heading.replace("pos acc", "pseudo-pos acc")
        .replace("rel err", "pseudo-pos rel err")
        .replace("abs err", "pseudo-pos abs err")
    )
