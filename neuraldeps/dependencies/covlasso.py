"""Neural dependencies as labelled datasets: solved in batches, and gathered."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps import covlasso as solver
from neuraldeps.covlasso import CovLassoPath, CovLassoSolution
from neuraldeps.stores import fingerprint, map_array, open_store, provenance, strings
from neuraldeps.stores.layouts import COVLASSO

log = logging.getLogger(__name__)


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


def pose(
    source_path: str,
    target_path: str,
    pair_path: str,
    models: tuple[str, str],
    batch: int,
    batches: int,
    exclude_own: bool,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The problem of target categories `batch::batches` of a pair, as solvers take it.

    Parameters
    ----------
    source_path, target_path, pair_path : str
        Moment stores of the source network, of the target network, and of the two.
    models : tuple of str
        Names of the two networks.
    batch, batches : int
        Which strided batch of the targets.
    exclude_own : bool
        Whether, between networks, the category of the target's index is no source.

    Returns
    -------
    ndarray, shape (n, n), float64
        Second moment of the source network, memory-mapped.
    dict
        `cross_moment` and `target_second_moment` (None within a network), `targets`, `exclude_own`.
    """
    within = models[0] == models[1]
    gram = map_array(source_path, "second_moment")
    power = np.diagonal(gram if within else map_array(target_path, "second_moment"))
    return gram, {
        "cross_moment": None if within else cross_moment(pair_path, models[0]),
        "target_second_moment": None if within else np.ascontiguousarray(power),
        "targets": np.arange(batch, len(power), batches),
        "exclude_own": within or exclude_own,
    }


def solve_covlasso(
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
    """Solve CovLasso (the paper's Eq. 2) for target categories `batch::batches` of a pair of networks.

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
        Threads; no number depends on it.

    Returns
    -------
    xarray.Dataset
        The knots of the exact paths, and the solutions at the penalties (names end in
        `_at_penalty`); supports are padded with -1, coefficients with 0. A target that cannot be
        certified ends no other's: its path ends at its last certified knot (`ended_by`), its
        solution at a penalty is empty and has a squared error and a duality gap of NaN. The
        attributes count both.
    """
    source, target = models
    stores = {"source": open_store(source_path), "target": open_store(target_path)}
    gram, given = pose(source_path, target_path, pair_path, models, batch, batches, exclude_own)
    penalties = {"alpha": alpha, "relative_alpha": relative_alpha}
    variables, coords = solve_paths(
        gram, given, max_support=max_support, penalties=penalties, n_threads=n_threads
    )
    coords = coordinates_of(stores, given["targets"]) | coords
    config = {"models": list(models), "max_support": max_support, "exclude_own": exclude_own}
    config |= {kind: list(values) for kind, values in penalties.items()}
    paths = {"source": source_path, "target": target_path, "pair": pair_path}
    attrs = {
        "source": source,
        "target": target,
        "centering": stores["source"].attrs["centering"],
        "n_samples": stores["source"].attrs["n_samples"],
        "alpha_convention": "scikit-learn: 1/2 E[(g_i - w.f)^2] + alpha |w|_1, lambda = 2 alpha",
        **provenance(
            "solve_covlasso",
            f"CovLasso paths of {target} from {source}",
            config=config,
            sources={role: fingerprint(path) for role, path in paths.items()},
            packages=("numba",),
        ),
    }
    return _count_uncertified(COVLASSO.dataset(variables, coords, attrs))


def solve_paths(
    gram: np.ndarray,
    given: Mapping[str, Any],
    *,
    max_support: int,
    penalties: Mapping[str, Sequence[float]],
    n_threads: int = 1,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Solve CovLasso of moments in memory, or mapped into it, as its stores hold it.

    Parameters
    ----------
    gram : ndarray, shape (n, n), float64
        Second moment of the source network, squared logits.
    given : mapping
        The rest of the problem, as `pose` gives it.
    max_support : int
        The paths end before the support first exceeds it.
    penalties : mapping
        Further penalties, `alpha` and `relative_alpha`, as `solve_covlasso` takes them.
    n_threads : int
        Threads; no number depends on it.

    Returns
    -------
    variables : dict
        Arrays of the layout `COVLASSO`.
    coords : dict
        Its coordinates but for the categories.
    """
    given = {**given, "n_threads": n_threads}
    path = solver.covlasso_path(gram, max_support=max_support, **given)
    log.info("%d paths, largest relative gap %.3g", len(path.targets), largest_relative_gap(path))
    kinds = [kind for kind, values in penalties.items() for _ in values]
    values = np.array([value for some in penalties.values() for value in some], float)
    at_penalties = [
        solver.solve_covlasso(
            gram, alpha=_penalty_of(path, kind, value), or_empty=True, validate=False, **given
        )
        for kind, value in zip(kinds, values, strict=True)
    ]
    variables: dict[str, Any] = _at_knots(path, max_support) | _at_sizes(path, max_support)
    variables |= _at_penalties(at_penalties, len(path.targets))
    variables["ended_by"] = strings(path.ended_by.tolist())
    coords = {
        "support_size": np.arange(1, max_support + 1, dtype=np.int32),
        "penalty_kind": strings(kinds),
        "penalty_value": values,
    }
    return variables, coords


def _count_uncertified(dataset: xr.Dataset) -> xr.Dataset:
    """Count in the attributes, and say in the log, how paths ended and what was not certified."""
    ended_by = [str(reason) for reason in dataset["ended_by"].values]
    dataset.attrs["paths_ended_by"] = dict(sorted(Counter(ended_by).items()))
    empty = dataset["dual_gap_at_penalty"].isnull().sum("target_category").values.tolist()
    dataset.attrs["uncertified_at_penalty"] = empty
    cut = dataset["target_category"].values[[reason == "certificate" for reason in ended_by]]
    if len(cut) or any(empty):
        log.warning(
            "%d of %d paths end where what comes next cannot be certified%s; solutions that cannot be "
            "certified, at each penalty: %s",
            *(
                len(cut),
                len(ended_by),
                f" (the first is target {cut[0]})" if len(cut) else "",
                empty,
            ),
        )
    return dataset


def _penalty_of(path: CovLassoPath, kind: str, value: float) -> np.ndarray:
    """One alpha per target; any will do where nothing correlates, alpha_max 0."""
    alpha = np.full(len(path.targets), value) if kind == "alpha" else value * path.alpha_max
    return np.where(alpha > 0, alpha, 1.0)


def _padded(values: np.ndarray, width: int, fill: float) -> np.ndarray:
    margin = [(0, 0)] * (values.ndim - 1) + [(0, width - values.shape[-1])]
    return np.pad(values, margin, constant_values=fill)


def _at_knots(path: CovLassoPath, width: int) -> dict[str, np.ndarray]:
    return {
        "alpha": path.alpha,
        "knot_support_size": path.support_size.astype(np.int32),
        "support": _padded(path.support, width, -1),
        "coef": _padded(path.coef, width, 0.0),
        "squared_error": path.squared_error,
        "dual_gap": path.dual_gap,
        "n_knots": path.n_knots.astype(np.int32),
        "alpha_max": path.alpha_max,
        "target_second_moment": path.target_second_moment,
    }


def _at_sizes(path: CovLassoPath, width: int) -> dict[str, np.ndarray]:
    """The last point, or the last certified one, before the support first exceeds each size."""
    solutions = [path.at_support_size(k, or_last=True) for k in range(1, width + 1)]
    return {
        "alpha_at_support_size": np.stack([s.alpha for s in solutions], axis=1),
        "support_at_support_size": np.stack(
            [_padded(s.support, width, -1) for s in solutions], axis=1
        ),
        "coef_at_support_size": np.stack([_padded(s.coef, width, 0.0) for s in solutions], axis=1),
    }


def _at_penalties(solutions: Sequence[CovLassoSolution], n_targets: int) -> dict[str, np.ndarray]:
    width = max((s.support.shape[1] for s in solutions), default=0)

    def stacked(name: str, fill: float | None = None, dtype: Any = float) -> np.ndarray:
        parts = [getattr(s, name) for s in solutions]
        if fill is not None:
            parts = [_padded(part, width, fill) for part in parts]
        empty = np.empty((n_targets, 0) if fill is None else (n_targets, 0, width))
        return (np.stack(parts, axis=1) if parts else empty).astype(dtype)

    return {
        "alpha_at_penalty": stacked("alpha"),
        "support_size_at_penalty": stacked("support_size", dtype=np.int32),
        "support_at_penalty": stacked("support", -1, np.int32),
        "coef_at_penalty": stacked("coef", 0.0),
        "squared_error_at_penalty": stacked("squared_error"),
        "dual_gap_at_penalty": stacked("dual_gap"),
    }


def coordinates_of(stores: Mapping[str, xr.Dataset], targets: np.ndarray) -> dict[str, Any]:
    """Source categories and the chosen target categories, from two moment stores.

    Parameters
    ----------
    stores : mapping of str to xarray.Dataset
        Moment stores by `source` and `target`.
    targets : ndarray of int
        Target categories.

    Returns
    -------
    dict
        Coordinates of both sides, as layouts name them.
    """
    coords: dict[str, Any] = {}
    for side, store in stores.items():
        for name, value in store.coords.items():
            if str(name).startswith("source_category"):
                values = value.values if side == "source" else value.values[targets]
                coords[str(name).replace("source", side)] = values
    return coords


def largest_relative_gap(path: CovLassoPath) -> float:
    """The worst certificate of a path: duality gap over the target's second moment.

    Parameters
    ----------
    path : CovLassoPath
        Paths of some targets.

    Returns
    -------
    float
        Of no unit.
    """
    power = path.target_second_moment[:, None]
    relative = np.divide(
        path.dual_gap,
        power,
        out=np.zeros_like(path.dual_gap),
        where=np.isfinite(path.dual_gap) & (power > 0),
    )
    return float(relative.max(initial=0.0))


def gather_covlasso(parts: Sequence[str]) -> xr.Dataset:
    """Put strided batches together, target categories in order.

    Parameters
    ----------
    parts : sequence of str
        Stores made from `solve_covlasso`, all batches of one pair.

    Returns
    -------
    xarray.Dataset
        As `solve_covlasso`, over all target categories.
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
    gathered.attrs["made_by"] = "gather_covlasso"
    return _count_uncertified(gathered)
