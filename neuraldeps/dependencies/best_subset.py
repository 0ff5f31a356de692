"""The best few sources of every category as labelled datasets: found in batches, and gathered."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.best_subset import STATUS, best_subsets
from neuraldeps.dependencies.covlasso import coordinates_of, pose
from neuraldeps.stores import fingerprint, open_store, provenance, strings
from neuraldeps.stores.layouts import BEST_SUBSET

log = logging.getLogger(__name__)


def solve_best_subset(
    source_path: str,
    target_path: str,
    pair_path: str,
    models: tuple[str, str],
    *,
    batch: int,
    batches: int,
    max_support: int,
    exclude_own: bool,
    width: int,
    proven_size: int | None,
    n_threads: int = 1,
) -> xr.Dataset:
    """Find the best few sources of target categories `batch::batches` of a pair of networks.

    Parameters
    ----------
    source_path, target_path, pair_path : str
        Moment stores of the source network, of the target network, and of the two.
    models : tuple of str
        Names of the source and the target network.
    batch, batches : int
        Strided batch of targets.
    max_support : int
        The largest size.
    exclude_own : bool
        Whether the source category of the target's index is left out between networks.
    width, proven_size
        As in `neuraldeps.best_subset.best_subsets`.
    n_threads : int
        Threads; no number depends on it.

    Returns
    -------
    xarray.Dataset
        Along (`target_category`, `support_size`): `support` and `coef`, padded with -1 and 0 along
        `slot`, `n_sources`, how many are really there, `squared_error` in squared logits, and
        `status`, what is known of the answer. The attributes count each status at each size.

    Raises
    ------
    MomentError
        If the moments are malformed.
    """
    source, target = models
    stores = {"source": open_store(source_path), "target": open_store(target_path)}
    gram, given = pose(source_path, target_path, pair_path, models, batch, batches, exclude_own)
    variables = find_subsets(
        gram,
        given,
        max_support=max_support,
        width=width,
        proven_size=proven_size,
        n_threads=n_threads,
    )
    coords = coordinates_of(stores, given["targets"])
    coords["support_size"] = np.arange(1, max_support + 1, dtype=np.int32)
    config = {
        "models": list(models),
        "max_support": max_support,
        "exclude_own": exclude_own,
        "width": width,
        "proven_size": proven_size,
    }
    paths = {"source": source_path, "target": target_path, "pair": pair_path}
    attrs = {
        "source": source,
        "target": target,
        "centering": stores["source"].attrs["centering"],
        "n_samples": stores["source"].attrs["n_samples"],
        **provenance(
            "solve_best_subset",
            f"Best few categories of {source} for every category of {target}",
            config=config,
            sources={role: fingerprint(path) for role, path in paths.items()},
            packages=("numba",),
        ),
    }
    return _count_status(BEST_SUBSET.dataset(variables, coords, attrs))


def find_subsets(
    gram: np.ndarray, given: Mapping[str, Any], *, max_support: int, **options: Any
) -> dict[str, Any]:
    """Find the best few sources from moments in memory, or mapped into it, as stores hold them.

    Parameters
    ----------
    gram : ndarray, shape (n, n), float64
        Second moment of the source network, squared logits.
    given : mapping
        The rest of the problem, as `neuraldeps.dependencies.covlasso.pose` gives it.
    max_support : int
        The largest size.
    **options
        Of `neuraldeps.best_subset.best_subsets`.

    Returns
    -------
    dict
        Arrays of the layout `BEST_SUBSET`.
    """
    found = best_subsets(gram, max_support=max_support, **options, **given)
    status = strings([STATUS[int(one)] for one in found.status.ravel()])
    return {
        "support": found.support,
        "coef": found.coef,
        "n_sources": found.support_size,
        "squared_error": found.squared_error,
        "status": status.reshape(found.status.shape),
        "target_second_moment": found.target_second_moment,
    }


def gather_best_subset(parts: Sequence[str]) -> xr.Dataset:
    """Put strided batches together, target categories in order.

    Parameters
    ----------
    parts : sequence of str
        Stores made from `solve_best_subset`, all batches of one pair.

    Returns
    -------
    xarray.Dataset
        As `solve_best_subset`, over all target categories.
    """
    gathered = xr.concat(
        [open_store(part).load() for part in parts],
        "target_category",
        data_vars="minimal",
        coords="minimal",
        compat="equals",
        join="exact",
        combine_attrs="override",
    ).sortby("target_category")
    for variable in gathered.variables.values():
        variable.encoding = {}
    gathered.attrs["made_by"] = "gather_best_subset"
    return _count_status(gathered)


def _count_status(dataset: xr.Dataset) -> xr.Dataset:
    """Count in the attributes, per size, what is known of the answers."""
    counts = {
        str(int(size)): dict(sorted(Counter(map(str, of_size)).items()))
        for size, of_size in zip(
            dataset["support_size"].values, dataset["status"].values.T, strict=True
        )
    }
    dataset.attrs["status"] = counts
    log.info("%d targets; what is known by size: %s", dataset.sizes["target_category"], counts)
    return dataset
