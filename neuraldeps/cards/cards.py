"""One row per category of an ordered pair of networks, for a spreadsheet and for an audit."""

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import betaincinv

from neuraldeps.cards.flags import FLAGS, name_likeness
from neuraldeps.cards.residuals import Residuals, measure_residuals
from neuraldeps.categories import Category, categories
from neuraldeps.estimators import ESTIMATORS, Solutions
from neuraldeps.logits.store import LogitsFile
from neuraldeps.stores import aside, open_store

CONFIDENCE = 0.95
QUANTILES = (0.5, 0.9, 0.99)
FLAGGED_BY = "subset"  # whose dependencies raise the flags


def make_cards(
    evaluation: str,
    source: str,
    target: str,
    *,
    split: str,
    sizes: Sequence[int],
    n_worst: int,
    redundancy: str | None = None,
    stability: str | None = None,
) -> list[dict[str, Any]]:
    """Gather what is known of every target category's dependencies on one held-out split.

    Parameters
    ----------
    evaluation : str
        Evaluation store of an ordered pair.
    source, target : str
        Logits stores of its two networks over the images of `split`.
    split : str
        The split that judges.
    sizes : sequence of int
        Support sizes that are shown; larger ones than were solved are left out.
    n_worst : int
        How many images are named that the best subset of the smallest size misses most.
    redundancy, stability : str, optional
        Stores of the target network's redundancy and of the pair's stability, where the run has them.

    Returns
    -------
    list of dict
        One card per target category, of plain JSON types: None where something was not measured.
    """
    judged = open_store(evaluation).sel(split=split).load()
    sizes = [size for size in sizes if size in judged["support_size"].values]
    sizes = sizes or [int(judged["support_size"].values[-1])]
    shown = [(name, size) for size in sizes for name in ESTIMATORS]
    solutions = {one: _solutions(judged, *one) for one in shown}
    centering, logits = judged.attrs["centering"], open_store(target)
    residuals = measure_residuals(
        LogitsFile(source, centering),
        LogitsFile(target, centering),
        judged["target_category"].values,
        list(solutions.values()),
        np.sqrt(judged["target_second_moment"].values),
        n_samples=logits.sizes["sample"],
        quantiles=QUANTILES,
        n_worst=n_worst,
    )
    by_name = dict(zip(shown, residuals, strict=True))
    terms = {one: _terms(judged, solutions[one]) for one in shown}
    columns = _of_category(judged, redundancy, stability)
    columns |= _flags(judged, columns, terms[FLAGGED_BY, sizes[0]], sizes)
    for name, size in shown:
        columns |= _of_dependency(judged, name, size, terms[name, size], by_name[name, size])
    worst = by_name[FLAGGED_BY, sizes[0]]
    paths = logits["path"].values if "path" in logits.coords else np.arange(logits.sizes["sample"])
    columns["worst_images"] = [paths[images].tolist() for images in worst.worst]
    columns["worst_residuals"] = worst.worst_residual.tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


Term = tuple[Category, float, float]
"""A source, its coefficient, and what it carries of the logit's root mean square."""


def _solutions(judged: xr.Dataset, estimator: str, size: int) -> Solutions:
    at = judged.sel(estimator=estimator, support_size=[size])
    axes = ("target_category", "support_size", "slot")
    return Solutions(at["support"].transpose(*axes).values, at["coef"].transpose(*axes).values)


def _terms(judged: xr.Dataset, solutions: Solutions) -> list[list[Term]]:
    """The sources of every target's dependency, largest coefficient first."""
    sources = categories(judged, "source_category")
    position = {int(number): at for at, number in enumerate(judged["source_category"].values)}
    size = np.sqrt(judged["source_second_moment"].values)
    scale = np.sqrt(judged["target_second_moment"].values)
    found = []
    for support, coef, whole in zip(
        solutions.support[:, 0], solutions.coef[:, 0], scale, strict=True
    ):
        places = [position[int(number)] for number in support[support >= 0]]
        terms = [
            (sources[place], float(weight), float(abs(weight) * size[place] / (whole or 1.0)))
            for place, weight in zip(places, coef, strict=False)
        ]
        found.append(sorted(terms, key=lambda term: -abs(term[1])))
    return found


def _of_category(
    judged: xr.Dataset, redundancy: str | None, stability: str | None
) -> dict[str, list[Any]]:
    """What is known of the categories themselves."""
    names, power = categories(judged, "target_category"), judged["target_second_moment"].values
    n_targets, living = len(names), power[power > 0]
    typical = np.median(living) if len(living) else 1.0
    positives = judged.attrs["positives"][str(judged["split"].values)]
    unknown = [None] * n_targets
    columns: dict[str, list[Any]] = {
        "source": [str(judged.attrs["source"])] * n_targets,
        "target": [str(judged.attrs["target"])] * n_targets,
        "category": judged["target_category"].values.tolist(),
        "code": [one.code for one in names],
        "name": [one.name for one in names],
        "n_images": judged["n_positive"].values.tolist(),
        "pseudo_positives": [str(positives) != "labelled"] * n_targets,
        "second_moment": power.tolist(),
        "relative_second_moment": (power / typical).tolist(),
        "accuracy": _numbers(judged["original_positive_accuracy"].values),
        "err0_relative": unknown,
        "stability": unknown,
        "near_equal_supports": unknown,
    }
    if redundancy is not None:
        err0 = open_store(redundancy)["err0_relative"].values
        columns["err0_relative"] = _numbers(err0[judged["target_category"].values])
    if stability is not None:
        store = open_store(stability).isel(support_size=0)
        columns["stability"] = _numbers(store["stability"].values)
        columns["near_equal_supports"] = _numbers(store["n_near_equal"].values)
    return columns


def _flags(
    judged: xr.Dataset,
    columns: Mapping[str, list[Any]],
    terms: Sequence[Sequence[Term]],
    sizes: Sequence[int],
) -> dict[str, list[Any]]:
    """The flags of every category, and how alike the least alike name of its sources is."""
    names = categories(judged, "target_category")
    errors = {
        size: _numbers(
            judged["relative_error_positive"].sel(estimator=FLAGGED_BY, support_size=size).values
        )
        for size in judged["support_size"].values.tolist()
        if size <= max(sizes)
    }
    likeness = [
        [name_likeness(name.short, source.short) for source, _, _ in sources]
        for name, sources in zip(names, terms, strict=True)
    ]
    raised = []
    for at in range(len(names)):
        known = {name: values[at] for name, values in columns.items()} | {
            "subset_errors": {size: error[at] for size, error in errors.items()},
            "shares": [share for _, _, share in terms[at]],
            "likeness": likeness[at],
        }
        raised.append([name for name, flag in FLAGS.items() if flag.rule(known)])
    return {"flags": raised, "name_likeness": [min(one, default=None) for one in likeness]}


def _of_dependency(
    judged: xr.Dataset,
    estimator: str,
    size: int,
    terms: Sequence[Sequence[Term]],
    residuals: Residuals,
) -> dict[str, list[Any]]:
    """An estimator's dependencies of one size: what they are, and what held-out images say."""
    of = judged.sel(estimator=estimator, support_size=size)
    power = judged["target_second_moment"].values
    columns: dict[str, list[Any]] = {
        "sources": [[source.code for source, _, _ in one] for one in terms],
        "names": [[source.short for source, _, _ in one] for one in terms],
        "coef": [[coef for _, coef, _ in one] for one in terms],
        "error": _numbers(of["relative_error_positive"].values),
        "accuracy": _numbers(of["positive_accuracy"].values),
        "error_all": _numbers(of["relative_error"].values),
    }
    n_images = np.full(len(power), int(judged["n_samples"]))
    for place, epsilon in enumerate(judged["epsilon"].values):
        name = f"delta_{round(100 * float(epsilon))}"
        delta, own = (of[which].values[:, place] for which in ("delta", "delta_positive"))
        allowed = epsilon**2 * power
        markov = np.full(len(power), np.nan)
        np.divide(residuals.mean_square, allowed, out=markov, where=allowed > 0)
        columns |= {
            name: _numbers(delta),
            f"{name}_interval": _intervals(delta, n_images),
            f"{name}_markov": _numbers(np.minimum(markov, 1.0)),
            f"{name}_own": _numbers(own),
            f"{name}_own_interval": _intervals(own, judged["n_positive"].values),
        }
    for quantile, values in zip(QUANTILES, residuals.quantile.T, strict=True):
        known = np.where(power > 0, values, np.nan)
        columns[f"residual_q{round(100 * quantile)}"] = _numbers(known)
    return {f"{estimator}_{size}_{name}": values for name, values in columns.items()}


def _intervals(share: np.ndarray, n: np.ndarray) -> list[list[float] | None]:
    """Clopper and Pearson's exact intervals of shares of n images; None where there are none.

    Examples
    --------
    >>> [[round(end, 3) for end in one] for one in _intervals(np.zeros(1), np.array([10]))]
    [[0.0, 0.308]]
    """
    known = np.isfinite(share) & (n > 0)
    count = np.where(known, np.rint(np.where(known, share, 0) * n), 0)
    tail = (1 - CONFIDENCE) / 2
    low = np.where(count > 0, betaincinv(np.maximum(count, 1), n - count + 1, tail), 0.0)
    room = np.maximum(n - count, 1)
    high = np.where(count < n, betaincinv(count + 1, room, 1 - tail), 1.0)
    ends = zip(low.tolist(), high.tolist(), strict=True)
    return [list(one) if is_known else None for one, is_known in zip(ends, known, strict=True)]


def _numbers(values: np.ndarray) -> list[Any]:
    """Numbers of a store; None where something was not measured."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def write_cards(cards: Sequence[Mapping[str, Any]], csv: str, parquet: str, json: str) -> None:
    """Write cards three times, the same rows in each.

    Parameters
    ----------
    cards : sequence of mapping
        As `make_cards` gives them.
    csv, parquet, json : str
        Files to write: lists are joined with semicolons in the first, and stay lists in the others;
        what was not measured is empty, or null.
    """
    flat = pd.DataFrame([{name: _flat(value) for name, value in one.items()} for one in cards])
    with aside(csv) as path:
        flat.to_csv(path, index=False, lineterminator="\n", float_format="%.9g")
    with aside(parquet) as path:
        pd.DataFrame(list(cards)).to_parquet(path, engine="pyarrow", index=False)
    lines = ",\n".join(dumps(one, ensure_ascii=False, allow_nan=False) for one in cards)
    with aside(json) as path:
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _flat(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return "; ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in value)
