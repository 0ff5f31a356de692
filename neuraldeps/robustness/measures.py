"""Robustness (Table 3): cut off one dependency by fine-tuning, and measure what else changes.

A pair (i, j) of categories that have nothing in common but a large coefficient is fine-tuned with
``CE + weight * |E[f_i f_j]|`` (the paper), with the same term divided by ``sqrt(E f_i^2 E f_j^2)``,
and, as a control, equally long on the same images without any term.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.arms import BASELINE
from neuraldeps.categories import restriction
from neuraldeps.covlasso import covlasso_path, solve_covlasso
from neuraldeps.errors import InputError
from neuraldeps.logits.store import Centering, LogitsFile
from neuraldeps.moments import second_moment
from neuraldeps.robustness.scores import anomaly_scores
from neuraldeps.stores import fingerprint, open_store, provenance, strings
from neuraldeps.stores.layouts import ROBUSTNESS


def measure_dependency(
    moment: np.ndarray, target: int, penalties: Sequence[tuple[str, float]]
) -> dict[str, np.ndarray]:
    """CovLasso of one category at several penalties, by the project's one solver (the paper's Eq. 2).

    Parameters
    ----------
    moment : ndarray, shape (category, category), float64
        Second moment within a network, squared logits.
    target : int
        The category i.
    penalties : sequence of (kind, value)
        `alpha` in scikit-learn's meaning, or `relative_alpha`, a fraction of the target's alpha_max.

    Returns
    -------
    dict of str to ndarray
        `alpha_max` (), `alpha`, `support_size`, `squared_error`, `dual_gap` (penalty,) and `coef`
        (penalty, category), 0 outside the support.
    """
    path = covlasso_path(moment, targets=[target], max_support=1)
    alpha_max = path.alpha_max[0]
    solved: dict[str, list[Any]] = {}
    for kind, value in penalties:
        alpha = value if kind == "alpha" else value * alpha_max
        # a dead category has alpha_max 0 and no dependency at any penalty
        solution = solve_covlasso(moment, alpha=alpha or 1.0, targets=[target], validate=False)
        for name in ("alpha", "support_size", "squared_error", "dual_gap"):
            solved.setdefault(name, []).append(getattr(solution, name)[0])
        solved.setdefault("coef", []).append(solution.to_sparse(len(moment)).toarray()[0])
    return {"alpha_max": np.array(alpha_max)} | {k: np.array(v) for k, v in solved.items()}


def baseline_penalty(moment: np.ndarray, target: int, support_size: int) -> tuple[float, float]:
    """Penalty at which the baseline's dependency has at most `support_size` sources, and its ratio.

    Parameters
    ----------
    moment : ndarray, shape (n, n), float64
        Second moment of the baseline, squared logits.
    target : int
        The category i.
    support_size : int
        Most sources.

    Returns
    -------
    tuple of float
        alpha, and alpha / alpha_max.

    Raises
    ------
    InputError
        If the category is dead: no penalty then tells it from one without a dependency.
    """
    path = covlasso_path(moment, targets=[target], max_support=support_size)
    if not path.alpha_max[0] > 0:
        raise InputError(
            f"robustness.category_pair: category {target}, i of the pair, depends on no category of the baseline "
            "at any penalty (its alpha_max is 0, as of a logit that is always 0); name another i"
        )
    alpha = float(path.at_support_size(support_size).alpha[0])
    return alpha, alpha / float(path.alpha_max[0])


def measure_robustness(
    stores: Mapping[str, Mapping[str, str]],
    pair: Mapping[str, Any],
    *,
    model: str,
    seed: int,
    dataset: str,
    centering: Centering,
    ood_categories: str | Sequence[str] = "all",
    alpha: Sequence[float] = (),
    relative_alpha: Sequence[float] = (),
    **how: Any,
) -> xr.Dataset:
    """Measure all arms of one network and seed on the same images.

    Parameters
    ----------
    stores : mapping of arm to (mapping of role to path)
        Logits stores; the roles are `fit` (second moment), `test` (accuracy, in distribution) and
        `ood` (out of distribution). `BASELINE` is among the arms.
    pair : mapping
        What `Pair.as_dict` gave.
    model, dataset : str
        For the attributes.
    seed : int
        Seed of the training.
    centering : {"none", "per_image"}
        Of the second moments.
    ood_categories : str or sequence of str
        See `restriction`.
    alpha, relative_alpha : sequence of float
        Further penalties, beside the baseline's at the pair's support size, which come first: once
        as an absolute alpha, once relative to each arm's own alpha_max.
    **how
        Passed to `neuraldeps.moments.second_moment`.

    Returns
    -------
    xarray.Dataset
        Along `arm`: `predicted` and `anomaly_score` (sample), `ood_anomaly_score` (ood_sample),
        `alpha_max`, `coef`, `theta` and certificates along `penalty`, and the pair's second moments.
        `anomaly_score` is NaN for images that are not known to be in distribution: without a label,
        or of categories outside the restriction.

    Raises
    ------
    InputError
        If no image is known to be in distribution, or i is dead in the baseline.
    """
    i, j = int(pair["target"]), int(pair["source"])
    base = stores[BASELINE]
    test, ood = open_store(base["test"]), open_store(base["ood"])
    chosen = restriction(test, ood, ood_categories)
    label = test["label"].values
    is_inside = label >= 0 if chosen is None else np.isin(label, test["category"].values[chosen])
    if not is_inside.any():
        raise InputError(
            f"robustness.ood_categories is {ood_categories!r}: no image of {base['test']} has a label "
            "among them, so none is known to be in distribution; label some, or name other categories"
        )
    moments = {arm: _moment(paths["fit"], centering, **how) for arm, paths in stores.items()}
    first, ratio = baseline_penalty(moments[BASELINE], i, pair["support_size"])
    penalties = [("alpha", first), ("relative_alpha", ratio)]
    penalties += [("alpha", value) for value in alpha]
    penalties += [("relative_alpha", value) for value in relative_alpha]
    solved = [measure_dependency(moment, i, penalties) for moment in moments.values()]
    scores = {role: anomaly_scores(stores, role, chosen) for role in ("test", "ood")}
    scores["test"][1][:, ~is_inside] = np.nan
    per_arm = {name: np.stack([one[name] for one in solved]) for name in solved[0]}
    variables = {
        "predicted": scores["test"][0],
        "anomaly_score": scores["test"][1],
        "ood_anomaly_score": scores["ood"][1],
        "theta": per_arm["coef"][:, :, j],
        **{name: per_arm[name] for name in ("coef", "alpha_max", "alpha")},
        **{name: per_arm[name] for name in ("squared_error", "dual_gap")},
        "support_size": per_arm["support_size"].astype(np.int32),
        "second_moment_target": _entries(moments, i, i),
        "second_moment_source": _entries(moments, j, j),
        "cross_moment": _entries(moments, i, j),
    }
    coords: dict[str, Any] = {
        "arm": strings(list(stores)),
        "label": label,
        "penalty_kind": strings([kind for kind, _ in penalties]),
        "penalty_value": np.array([value for _, value in penalties], float),
        "source_category": test["category"].values,
    }
    for suffix in ("name", "code"):
        if f"category_{suffix}" in test:
            coords[f"source_category_{suffix}"] = test[f"category_{suffix}"].values
    if "path" in test and "path" in ood:
        coords |= {"path": test["path"].values, "ood_path": ood["path"].values}
    return ROBUSTNESS.dataset(
        variables,
        coords,
        {
            "model": model,
            "dataset": dataset,
            "centering": centering,
            "pair": dict(pair),
            "n_restricted": test.sizes["category"] if chosen is None else len(chosen),
            **provenance(
                "measure_robustness",
                f"Arms of {model} with and without a dependency cut off",
                config={
                    "pair": [i, j],
                    "ood_categories": ood_categories,
                    "alpha": list(alpha),
                    "relative_alpha": list(relative_alpha),
                },
                sources={
                    f"{arm} {role}": fingerprint(path)
                    for arm, paths in stores.items()
                    for role, path in paths.items()
                },
                seed=seed,
                packages=("numba",),
            ),
        },
    )


def _moment(path: str, centering: Centering, **how: Any) -> np.ndarray:
    file = LogitsFile(path, centering)
    return second_moment(file, file, **how).second_moment


def _entries(moments: Mapping[str, np.ndarray], row: int, column: int) -> np.ndarray:
    return np.array([moment[row, column] for moment in moments.values()])
