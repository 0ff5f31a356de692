"""Robustness (Table 3): cut off one dependency by fine-tuning, and measure what else changes.

A pair (i, j) of categories that have nothing in common but a large coefficient is fine-tuned with
``CE + weight * |E[f_i f_j]|`` (the paper), with the same term divided by ``sqrt(E f_i^2 E f_j^2)``,
and, as a control, equally long on the same images without any term.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from neuraldeps.cases import Category, categories, find_category
from neuraldeps.covlasso import covlasso_path, solve_covlasso
from neuraldeps.errors import InputError
from neuraldeps.moments import Centering, LogitsFile, second_moment
from neuraldeps.stores import fingerprint, open_store, provenance, strings

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["literal", "normalised"]

BASELINE, CONTROL = "baseline", "control"
ARMS = (BASELINE, CONTROL, "literal", "normalised")
TINY = 1e-30  # keeps 0 / 0 from a batch in which both logits are dead
ROWS = 8192


@dataclass(frozen=True)
class DependencyPenalty:
    """The paper's regulariser of one pair, an extra loss for `neuraldeps.training.train`.

    ``weight * |E[f_i f_j]|`` (`literal`), or
    ``weight * |E[f_i f_j]| / sqrt(E[f_i^2] E[f_j^2])`` (`normalised`), the expectations over the
    batch of one device, in float32 at least.

    Parameters
    ----------
    target, source : int
        i and j.
    weight : float
        0.2 in the paper; for squared logits, or of no unit where normalised.
    form : {"literal", "normalised"}

    References
    ----------
    Feng et al. "Neural Dependencies Emerging from Learning Massive Categories". CVPR 2023, Sec. 3.3.
    """

    target: int
    source: int
    weight: float
    form: Form

    def __call__(self, logits: "Tensor", labels: "Tensor") -> "Tensor":
        """Penalty of a batch of logits (image, category); the labels do not enter."""
        wide = logits if logits.element_size() >= 4 else logits.float()
        f_i, f_j = wide[:, self.target], wide[:, self.source]
        penalty = (f_i * f_j).mean().abs()
        if self.form == "normalised":
            penalty = penalty / (f_i.square().mean() * f_j.square().mean()).clamp_min(TINY).sqrt()
        return self.weight * penalty


@dataclass(frozen=True)
class Pair:
    """Target i and source j, and why they were chosen.

    Attributes
    ----------
    target, source : int
        Category indices.
    target_name, target_code, source_name, source_code : str
    chosen : {"auto", "config"}
    support_size : int
        The dependency that was looked at has at most so many sources.
    coef : float
        theta_j of i there; 0 where j is not among the sources.
    shared_words : int
        Words that both names carry.
    shape_distance : float or None
        See `shape_distances`; None without bitmaps.
    """

    target: int
    source: int
    target_name: str
    target_code: str
    source_name: str
    source_code: str
    chosen: str
    support_size: int
    coef: float
    shared_words: int
    shape_distance: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def choose_pair(
    paths: xr.Dataset,
    bitmaps: np.ndarray | None = None,
    wanted: Sequence[str] | None = None,
    *,
    support_size: int = 4,
    shape_quantile: float = 0.75,
    key: str = "robustness.category_pair",
) -> Pair:
    """Choose the pair whose dependency is cut off: as configured, or the most irrational large one.

    Of all pairs (i, j) with a coefficient in i's dependency on at most `support_size` categories and
    with shapes less alike than `shape_quantile` of all pairs of categories, those whose names share
    the fewest words (in practice: none), and of these the one with the largest ``|theta_j|``.

    Parameters
    ----------
    paths : xarray.Dataset
        Store of CovLasso paths within one network.
    bitmaps : ndarray, shape (category, face, y, x), uint8, optional
        Without them names alone decide.
    wanted : sequence of two str, optional
        Names, codes or characters of i and j, in place of an automatic choice.
    support_size : int
    shape_quantile : float
        Between 0 and 1.
    key : str
        Configuration key to name in an error.

    Raises
    ------
    InputError
        If `wanted` names no category, one twice or a dead i, or nothing is left to choose from.
    """
    if support_size not in paths["support_size"].values:
        raise InputError(
            f"robustness.choose_pair.support_size is {support_size}; it must be at most covlasso.max_support, "
            f"{int(paths.sizes['support_size'])}"
        )
    at = paths.sel(support_size=support_size)
    support = at["support_at_support_size"].transpose("target_category", "slot").values
    coef = at["coef_at_support_size"].transpose("target_category", "slot").values
    known = categories(paths, "target_category")
    distance = None if bitmaps is None else shape_distances(bitmaps)
    if wanted is not None:
        target, source = (find_category(known, name, key) for name in wanted)
        if target == source:
            raise InputError(f"{key}: {wanted[0]!r} is given twice; name two categories")
        if not paths["alpha_max"].values[target] > 0:
            raise InputError(
                f"{key}: {wanted[0]!r} depends on no category at any penalty (its alpha_max is 0, as of a "
                "logit that is always 0); name another i"
            )
    else:
        target, source = _most_irrational(known, support, coef, distance, shape_quantile, key)
    slot = np.flatnonzero(support[target] == source)
    return Pair(
        target=target,
        source=source,
        target_name=known[target].name,
        target_code=known[target].code,
        source_name=known[source].name,
        source_code=known[source].code,
        chosen="auto" if wanted is None else "config",
        support_size=support_size,
        coef=float(coef[target, slot[0]]) if slot.size else 0.0,
        shared_words=len(_words(known[target]) & _words(known[source])),
        shape_distance=None if distance is None else float(distance[target, source]),
    )


def _most_irrational(
    known: Sequence[Category],
    support: np.ndarray,
    coef: np.ndarray,
    distance: np.ndarray | None,
    shape_quantile: float,
    key: str,
) -> tuple[int, int]:
    target, slot = np.nonzero(support >= 0)
    source, size = support[target, slot], np.abs(coef[target, slot])
    if distance is not None:
        bar = np.quantile(distance[np.triu_indices(len(distance), 1)], shape_quantile)
        unlike = distance[target, source] >= bar
        target, source, size = target[unlike], source[unlike], size[unlike]
    if not target.size:
        raise InputError(
            f"{key}: no dependency joins two categories of unlike shape; name a pair, or lower "
            f"robustness.choose_pair.shape_quantile, {shape_quantile}"
        )
    words = [_words(category) for category in known]
    shared = [len(words[i] & words[j]) for i, j in zip(target, source, strict=True)]
    best = np.lexsort([source, target, -size, shared])[0]
    return int(target[best]), int(source[best])


def _words(category: Category) -> set[str]:
    return set(re.findall(r"\w+", category.name.casefold()))


def shape_distances(bitmaps: np.ndarray) -> np.ndarray:
    """Distance of the shapes of all pairs of categories, at half resolution.

    Parameters
    ----------
    bitmaps : ndarray, shape (category, face, y, x), uint8
        Sides even.

    Returns
    -------
    ndarray, shape (category, category), float64
        ``|a - b|^2 / (|a|^2 + |b|^2)``, mean over faces: 0 for the same pixels, 1 where no pixel is
        inked in both.
    """
    n, n_faces, height, width = bitmaps.shape
    total = np.zeros((n, n))
    for face in range(n_faces):
        halves = bitmaps[:, face].reshape(n, height // 2, 2, width // 2, 2)
        flat = halves.mean((2, 4)).reshape(n, -1)
        square = np.einsum("ij,ij->i", flat, flat)
        norm = np.maximum(square[:, None] + square, TINY)
        total += 1 - 2 * (flat @ flat.T) / norm
    return total / n_faces


def restriction(
    categories_of: xr.Dataset, ood: xr.Dataset, wanted: str | Sequence[str]
) -> np.ndarray | None:
    """Categories that the anomaly score's softmax and the in-distribution images are restricted to.

    Parameters
    ----------
    categories_of, ood : xarray.Dataset
        Stores of logits or images: of all categories, and of the out-of-distribution split.
    wanted : str or sequence of str
        ``all``; ``folders``: those that the folders of the out-of-distribution images are named by
        (ImageNet-O's 200); or names or codes.

    Returns
    -------
    ndarray of int64 or None
        Ascending positions along `category`; None for all.

    Raises
    ------
    InputError
        If a category is unknown.
    """
    if wanted == "all":
        return None
    known = categories(categories_of)
    if wanted == "folders":
        wanted = sorted({PurePosixPath(str(path)).parent.name for path in ood["path"].values})
    return np.unique([find_category(known, name, "robustness.ood_categories") for name in wanted])


def measure_scores(
    logits: str, chosen: np.ndarray | None = None, *, rows: int = ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Winner over all categories and anomaly score -max softmax over the chosen ones.

    Parameters
    ----------
    logits : str
        Logits store.
    chosen : ndarray of int64, optional
        Positions along `category`.
    rows : int
        Images held in memory at a time.

    Returns
    -------
    ndarray, shape (sample,), int32
        Position of the largest logit, the first of equal ones.
    ndarray, shape (sample,), float64
        Between -1 and 0, larger for what looks more out of distribution.
    """
    file, n = LogitsFile(logits), open_store(logits).sizes["sample"]
    winner, score = np.empty(n, np.int32), np.empty(n)
    for first in range(0, n, rows):
        block = slice(first, min(first + rows, n))
        values = file.rows(block.start, block.stop)
        winner[block] = values.argmax(axis=1)
        values = values if chosen is None else values[:, chosen]
        values -= values.max(axis=1, keepdims=True)
        score[block] = -1 / np.exp(values, out=values).sum(axis=1)
    return winner, score


def measure_dependency(
    moment: np.ndarray, target: int, penalties: Sequence[tuple[str, float]]
) -> dict[str, np.ndarray]:
    """CovLasso of one category at several penalties, by the project's one solver (the paper's Eq. 2).

    Parameters
    ----------
    moment : ndarray, shape (category, category), float64
        Second moment within a network, squared logits.
    target : int
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


def robustness_dataset(
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
    scores = {role: _scores(stores, role, chosen) for role in ("test", "ood")}
    scores["test"][1][:, ~is_inside] = np.nan
    squared = {"units": "logit2"}
    per_arm = {name: np.stack([one[name] for one in solved]) for name in solved[0]}
    variables: dict[str, Any] = {
        "predicted": (("arm", "sample"), scores["test"][0]),
        "anomaly_score": (
            ("arm", "sample"),
            scores["test"][1],
            {"long_name": "-max softmax; NaN: not known to be in distribution"},
        ),
        "ood_anomaly_score": (
            ("arm", "ood_sample"),
            scores["ood"][1],
            {"long_name": "-max softmax"},
        ),
        "theta": (("arm", "penalty"), per_arm["coef"][:, :, j], {"units": "1"}),
        "coef": (("arm", "penalty", "source_category"), per_arm["coef"], {"units": "1"}),
        "alpha_max": ("arm", per_arm["alpha_max"], squared),
        "alpha": (("arm", "penalty"), per_arm["alpha"], squared),
        "support_size": (("arm", "penalty"), per_arm["support_size"].astype(np.int32)),
        "squared_error": (("arm", "penalty"), per_arm["squared_error"], squared),
        "dual_gap": (("arm", "penalty"), per_arm["dual_gap"], squared),
        "second_moment_target": ("arm", _entries(moments, i, i), squared),
        "second_moment_source": ("arm", _entries(moments, j, j), squared),
        "cross_moment": ("arm", _entries(moments, i, j), squared),
    }
    coords: dict[str, Any] = {
        "arm": strings(list(stores)),
        "label": ("sample", label, {"long_name": "category; -1 is none"}),
        "penalty_kind": ("penalty", strings([kind for kind, _ in penalties])),
        "penalty_value": ("penalty", np.array([value for _, value in penalties])),
        "source_category": test["category"].values,
    }
    for suffix in ("name", "code"):
        if f"category_{suffix}" in test:
            named = test[f"category_{suffix}"].values
            coords[f"source_category_{suffix}"] = ("source_category", named)
    if "path" in test and "path" in ood:
        coords |= {"path": ("sample", test["path"].values)}
        coords |= {"ood_path": ("ood_sample", ood["path"].values)}
    return xr.Dataset(
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


def _scores(
    stores: Mapping[str, Mapping[str, str]], role: str, chosen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Winners and anomaly scores (arm, sample)."""
    winner, score = zip(
        *(measure_scores(paths[role], chosen) for paths in stores.values()), strict=True
    )
    return np.stack(winner), np.stack(score)
