"""Neural dependencies as labelled datasets: solved, gathered, and judged."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.covlasso import CovLassoPath, covlasso_path, solve_covlasso
from neuraldeps.evaluation import Candidates, Evaluation, evaluate, refit
from neuraldeps.moments import LogitsFile
from neuraldeps.stores import fingerprint, map_array, open_store, provenance

log = logging.getLogger(__name__)

SQUARED = {"units": "logit2"}


def cross_moment(pair: str, source: str) -> np.ndarray:
    """E[f g^T] of an ordered pair from the store of the unordered one, memory-mapped.

    Parameters
    ----------
    pair : str
        Moment store.
    source : str
        Name of the source network f.

    Returns
    -------
    ndarray, shape (source categories, target categories), float64
    """
    moment = map_array(pair, "second_moment")
    return moment if open_store(pair).attrs["source"] == source else moment.T


def solve_dataset(
    source_path: str,
    target_path: str,
    pair_path: str,
    models: tuple[str, str],
    *,
    batch: int,
    batches: int,
    max_support: int,
    exclude_own: bool,
    alpha: Sequence[float],
    relative_alpha: Sequence[float],
    n_threads: int = 1,
) -> xr.Dataset:
    """Solve CovLasso (PAPER, Eq. 4) for target categories `batch::batches` of a pair of networks.

    Parameters
    ----------
    source_path, target_path, pair_path : str
        Moment stores of the source network, of the target network, and of the two.
    models : tuple of str
        Names of the source and the target network.
    batch, batches : int
        Strided batch of targets.
    max_support : int
        The paths end before the support first exceeds it.
    exclude_own : bool
        Whether the source category of the target's index is left out between networks.
    alpha, relative_alpha : sequence of float
        Further penalties, in scikit-learn's meaning (lambda / 2, squared logits), and relative
        to each target's alpha_max.
    n_threads : int

    Returns
    -------
    xarray.Dataset
        The knots of the exact paths, and the solutions at the penalties (names end in
        `_at_penalty`); supports are padded with -1, coefficients with 0.
    """
    source, target = models
    within = source == target
    gram = map_array(source_path, "second_moment")
    cross = None if within else cross_moment(pair_path, source)
    power = np.diagonal(gram if within else map_array(target_path, "second_moment"))
    targets = np.arange(batch, len(power), batches)
    given: dict[str, Any] = {
        "cross_moment": cross,
        "target_second_moment": None if within else np.ascontiguousarray(power),
        "targets": targets,
        "exclude_own": exclude_own,
        "n_threads": n_threads,
    }
    path = covlasso_path(gram, max_support=max_support, **given)
    log.info("%d paths, largest relative gap %.3g", len(targets), largest_relative_gap(path))

    penalties = [("alpha", value) for value in alpha]
    penalties += [("relative_alpha", value) for value in relative_alpha]
    solutions = []
    for kind, value in penalties:
        at = np.full(len(targets), value) if kind == "alpha" else value * path.alpha_max
        # a target without any correlation has alpha_max 0 and no dependency at any penalty
        at = np.where(at > 0, at, 1.0)
        solutions.append(solve_covlasso(gram, alpha=at, **given))
    slots = max((s.support.shape[1] for s in solutions), default=0)
    at_sizes = [path.at_support_size(k) for k in range(1, max_support + 1)]

    def stacked(name: str) -> np.ndarray:
        empty = np.empty((len(targets), 0))
        values = [getattr(s, name) for s in solutions]
        return np.stack(values, axis=1) if values else empty

    def padded(values: np.ndarray, n: int, fill: float) -> np.ndarray:
        return np.pad(
            values,
            [(0, 0)] * (values.ndim - 1) + [(0, n - values.shape[-1])],
            constant_values=fill,
        )

    def stacked_padded(name: str, fill: float, dtype: Any) -> np.ndarray:
        values = [padded(getattr(s, name), slots, fill) for s in solutions]
        shape = (len(targets), 0, slots)
        return np.stack(values, axis=1).astype(dtype) if values else np.empty(shape, dtype)

    stores = {"source": open_store(source_path), "target": open_store(target_path)}
    coords = coordinates_of(stores, targets)
    coords |= {
        "support_size": np.arange(1, max_support + 1, dtype=np.int32),
        "penalty_kind": ("penalty", np.array([k for k, _ in penalties], np.dtypes.StringDType())),
        "penalty_value": ("penalty", np.array([v for _, v in penalties], float)),
    }
    t = "target_category"
    width = max_support
    variables: dict[str, Any] = {
        "alpha": ((t, "knot"), path.alpha, SQUARED | {"long_name": "penalty, lambda / 2"}),
        "knot_support_size": ((t, "knot"), path.support_size.astype(np.int32)),
        "support": ((t, "knot", "slot"), padded(path.support, width, -1)),
        "coef": ((t, "knot", "slot"), padded(path.coef, width, 0.0)),
        "squared_error": ((t, "knot"), path.squared_error, SQUARED),
        "dual_gap": ((t, "knot"), path.dual_gap, SQUARED),
        "n_knots": (t, path.n_knots.astype(np.int32)),
        "alpha_max": (t, path.alpha_max, SQUARED),
        "target_second_moment": (t, path.target_second_moment, SQUARED),
        "alpha_at_support_size": (
            (t, "support_size"),
            np.stack([s.alpha for s in at_sizes], axis=1),
            SQUARED | {"long_name": "alpha before the support first exceeds the size"},
        ),
        "support_at_support_size": (
            (t, "support_size", "slot"),
            np.stack([padded(s.support, width, -1) for s in at_sizes], axis=1),
        ),
        "coef_at_support_size": (
            (t, "support_size", "slot"),
            np.stack([padded(s.coef, width, 0.0) for s in at_sizes], axis=1),
        ),
        "alpha_at_penalty": ((t, "penalty"), stacked("alpha"), SQUARED),
        "support_size_at_penalty": ((t, "penalty"), stacked("support_size").astype(np.int32)),
        "support_at_penalty": (
            (t, "penalty", "penalty_slot"),
            stacked_padded("support", -1, np.int32),
        ),
        "coef_at_penalty": ((t, "penalty", "penalty_slot"), stacked_padded("coef", 0.0, float)),
        "squared_error_at_penalty": ((t, "penalty"), stacked("squared_error"), SQUARED),
        "dual_gap_at_penalty": ((t, "penalty"), stacked("dual_gap"), SQUARED),
    }
    config = {
        "models": list(models),
        "max_support": max_support,
        "exclude_own": exclude_own,
        "alpha": list(alpha),
        "relative_alpha": list(relative_alpha),
    }
    sources = {
        "source": fingerprint(source_path),
        "target": fingerprint(target_path),
        "pair": fingerprint(pair_path),
    }
    attrs = {
        "source": source,
        "target": target,
        "gauge": stores["source"].attrs["gauge"],
        "n_samples": stores["source"].attrs["n_samples"],
        "alpha_convention": "scikit-learn: 1/2 E[(g_i - w.f)^2] + alpha |w|_1, lambda = 2 alpha",
        **provenance(
            "solve_covlasso",
            f"CovLasso paths of {target} from {source}",
            config=config,
            sources=sources,
            packages=("numba",),
        ),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def coordinates_of(stores: Mapping[str, xr.Dataset], targets: np.ndarray) -> dict[str, Any]:
    """Source categories and the chosen target categories, from two moment stores."""
    coords: dict[str, Any] = {}
    for side, store in stores.items():
        for name, value in store.coords.items():
            if str(name).startswith("source_category"):
                values = value.values if side == "source" else value.values[targets]
                renamed = str(name).replace("source", side)
                coords[renamed] = (f"{side}_category", values)
    return coords


def largest_relative_gap(path: CovLassoPath) -> float:
    """The worst certificate of a path: duality gap over the target's second moment."""
    power = path.target_second_moment[:, None]
    relative = np.divide(
        path.dual_gap,
        power,
        out=np.zeros_like(path.dual_gap),
        where=np.isfinite(path.dual_gap) & (power > 0),
    )
    return float(relative.max(initial=0.0))


def gather_dataset(parts: Sequence[str]) -> xr.Dataset:
    """Put strided batches together, target categories in order.

    Parameters
    ----------
    parts : sequence of str
        Stores made from `solve_dataset`, all batches of one pair.

    Returns
    -------
    xarray.Dataset
        As `solve_dataset`, over all target categories.
    """
    datasets = [open_store(part).load() for part in parts]
    fills = {"support": -1, "coef": 0.0, "knot_support_size": 0}
    fills |= {"support_at_penalty": -1, "coef_at_penalty": 0.0}
    sizes = {
        axis: max(dataset.sizes[axis] for dataset in datasets) for axis in ("knot", "penalty_slot")
    }
    whole = [
        dataset.pad(
            {axis: (0, size - dataset.sizes[axis]) for axis, size in sizes.items()},
            constant_values=fills | dict.fromkeys(("alpha", "squared_error", "dual_gap"), np.nan),
        )
        for dataset in datasets
    ]
    gathered = xr.concat(
        whole, "target_category", data_vars="minimal", coords="minimal", compat="equals",
        join="exact", combine_attrs="override",
    ).sortby("target_category")  # fmt: skip
    for name, variable in gathered.variables.items():
        variable.encoding = {}
        if variable.dtype != datasets[0].variables[name].dtype:
            gathered[name] = gathered[name].astype(datasets[0].variables[name].dtype)
    return gathered


def evaluation_dataset(
    paths: str,
    within: str,
    pair: str,
    logits: Mapping[str, tuple[str, str]],
    *,
    dataset: str,
    n_threads: int = 1,
) -> xr.Dataset:
    """Judge the solutions of a pair, and their least-squares refits, on the images of each split.

    Parameters
    ----------
    paths, within, pair : str
        Store of the paths; moment stores of the source network and of the pair.
    logits : mapping of split to (source, target)
        Logits stores.
    dataset : str
        Name of the data set, for the attributes.
    n_threads : int

    Returns
    -------
    xarray.Dataset
        Errors in logits, relative errors and accuracies as fractions, along `split`, `estimator`
        (lasso, refit), `target_category` and `support_size` or `penalty`.
    """
    solved = open_store(paths).load()
    gauge = solved.attrs["gauge"]
    targets = solved["target_category"].values
    gram = map_array(within, "second_moment")
    cross = cross_moment(pair, solved.attrs["source"])
    supports = {
        axis: solved[f"support_at_{axis}"].values.astype(np.int32)
        for axis in ("support_size", "penalty")
    }
    coefs = {
        axis: np.stack([solved[f"coef_at_{axis}"].values, refit(gram, cross, targets, support)])
        for axis, support in supports.items()
    }
    candidates = Candidates.concatenate(
        [
            Candidates.from_padded(targets, supports[axis], coef)
            for axis in supports
            for coef in coefs[axis]
        ]
    )
    results = {}
    for split, (source_path, target_path) in logits.items():
        label = open_store(target_path).get("label")
        n_samples = open_store(target_path).sizes["sample"]
        results[split] = evaluate(
            LogitsFile(source_path, gauge),
            LogitsFile(target_path, gauge),
            candidates,
            np.full(n_samples, -1) if label is None else label.values,
            n_threads=n_threads,
        )
    sizes = [supports[axis].shape[1] for axis in supports]
    kept = ["alpha_at_penalty", "support_size_at_penalty"]
    t = "target_category"
    variables: dict[str, Any] = {name: solved[name] for name in kept}
    variables |= {
        "alpha": solved["alpha_at_support_size"],
        "relative_alpha": (
            (t, "support_size"),
            _ratio(solved["alpha_at_support_size"].values, solved["alpha_max"].values[:, None]),
        ),
        "support": ((t, "support_size", "slot"), supports["support_size"]),
        "coef": (("estimator", t, "support_size", "slot"), coefs["support_size"], {"units": "1"}),
        **_measures(results, sizes),
    }
    coords = {name: c for name, c in solved.coords.items() if name not in ("split", "estimator")}
    coords |= {
        "split": np.array(list(logits), np.dtypes.StringDType()),
        "estimator": np.array(["lasso", "refit"], np.dtypes.StringDType()),
    }
    sources = {
        "paths": fingerprint(paths),
        "within": fingerprint(within),
        "pair": fingerprint(pair),
    }
    for split, sides in logits.items():
        for side, path in zip(("source", "target"), sides, strict=True):
            sources[f"{split} {side}"] = fingerprint(path)
    pseudo = {split: result.pseudo_positives for split, result in results.items()}
    source, target = solved.attrs["source"], solved.attrs["target"]
    attrs = {
        "source": source,
        "target": target,
        "gauge": gauge,
        "dataset": dataset,
        "positives": {
            split: "pseudo-positives (the target network's own top-1)" if p else "labelled"
            for split, p in pseudo.items()
        },
        **provenance(
            "evaluate_dependencies",
            f"Dependencies of {target} on {source}, judged",
            config={"splits": list(logits)},
            sources=sources,
            packages=("numba",),
        ),
    }
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where there is nothing to divide by."""
    denominator = np.broadcast_to(np.asarray(denominator, float), np.shape(numerator))
    out = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _measures(results: Mapping[str, Evaluation], sizes: Sequence[int]) -> dict[str, Any]:
    """Means and fractions along (split, estimator, target_category, support_size or penalty)."""
    t = "target_category"
    per_split: dict[str, list[np.ndarray]] = {}
    for result in results.values():
        sums = result.sums
        positive, size = sums.n_positive[:, None], sums.size[:, None]
        values = {
            "absolute_error_positive": _ratio(sums.error_positive, positive),
            "relative_error_positive": _ratio(sums.error_positive, sums.size_positive[:, None]),
            "absolute_error": sums.error / result.n_samples,
            "relative_error": _ratio(sums.error, size),
            "accuracy": _ratio(sums.correct, np.array(result.n_labelled)),
            "positive_accuracy": _ratio(sums.correct_positive, positive),
        }
        for name, value in values.items():
            per_split.setdefault(name, []).append(value)
    variables: dict[str, Any] = {}
    for name, stack in per_split.items():
        unit = {"units": "logit" if name.startswith("absolute") else "1"}
        value = np.stack(stack)
        # solutions lie as lasso, refit along the support sizes, then along the penalties
        cut = 2 * sizes[0]
        for axis, part, suffix in (
            ("support_size", value[..., :cut], ""),
            ("penalty", value[..., cut:], "_at_penalty"),
        ):
            split = part.reshape(*part.shape[:2], 2, -1).transpose(0, 2, 1, 3)
            variables[name + suffix] = (("split", "estimator", t, axis), split, unit)
    every = results.values()
    variables |= {
        "original_accuracy": (
            "split",
            np.array([r.original_correct / r.n_labelled for r in every]),
            {"units": "1"},
        ),
        "original_positive_accuracy": (
            ("split", t),
            np.stack([_ratio(r.sums.original_correct_positive, r.sums.n_positive) for r in every]),
            {"units": "1"},
        ),
        "n_samples": ("split", np.array([r.n_samples for r in every])),
        "n_labelled": ("split", np.array([r.n_labelled for r in every])),
        "n_positive": (("split", t), np.stack([r.sums.n_positive for r in every])),
    }
    return variables
