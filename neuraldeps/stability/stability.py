"""The stability of every target's best subset, as a store."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuraldeps.best_subset import best_subsets
from neuraldeps.dependencies.covlasso import cross_moment
from neuraldeps.devices import check_device
from neuraldeps.logits.store import LogitsFile
from neuraldeps.logs import progress
from neuraldeps.seeds import seed_of
from neuraldeps.stability.agreement import agreement
from neuraldeps.stability.exchanges import count_near_equal
from neuraldeps.stability.halves import half_moments
from neuraldeps.stores import fingerprint, map_array, open_store, provenance
from neuraldeps.stores.layouts import STABILITY


def measure_stability(
    subsets: str,
    within: str,
    pair: str,
    logits: tuple[str, str],
    models: tuple[str, str],
    *,
    sizes: Sequence[int],
    n_splits: int,
    exclude_own: bool,
    seed: int,
    n_threads: int = 1,
    device: str | None = None,
) -> xr.Dataset:
    """Find every target's best subsets again on random halves of the images, and see what stays.

    Parameters
    ----------
    subsets : str
        Store of the best subsets of the ordered pair.
    within, pair : str
        Second moments of the source network, and of the pair.
    logits : tuple of str
        Logits stores of source and target over the split that dependencies are fitted on.
    models : tuple of str
        Their names.
    sizes : sequence of int
        Support sizes; those beyond what was solved are left out.
    n_splits : int
        Random splits into halves: twice as many supports are held against each other.
    exclude_own : bool
        Whether, between two networks, the target's own category is no source.
    seed : int
        Of the splits.
    n_threads : int
        Threads; no number depends on it.
    device : str, optional
        That reduces the halves, as `half_moments` takes it.

    Returns
    -------
    xarray.Dataset
        Of the layout `STABILITY`, along `target_category` and `support_size`: the stability of the
        supports with its 95 % interval, and the number of near-equal ones; of the network the mean.
        On halves the best subsets are exchange-optimal, without proof.
    """
    check_device(device)
    found = open_store(subsets).load()
    sizes = [size for size in sizes if size in found["support_size"].values]
    sizes = sizes or [int(found["support_size"].values[-1])]
    targets = found["target_category"].values
    is_within = models[0] == models[1]
    leaves_own_out = is_within or exclude_own
    centering = found.attrs["centering"]
    files = [LogitsFile(path, centering) for path in logits]
    drawn = []
    halves = half_moments(files[0], files[1], n_splits, seed_of(seed, "halves"), device=device)
    for moments in halves:
        one = best_subsets(
            moments.second_moment,
            moments.cross_moment,
            moments.target_second_moment,
            targets=targets,
            exclude_own=leaves_own_out,
            max_support=max(sizes),
            proven_size=1,
            n_threads=n_threads,
            validate=False,
        )
        drawn.append(one.support[:, [size - 1 for size in sizes]])
    supports = np.stack(drawn, axis=2)  # (T, sizes, halves, S)
    gram, cross = map_array(within, "second_moment"), cross_moment(pair, models[0])
    n_allowed = int(np.count_nonzero(np.diagonal(gram) > 0)) - leaves_own_out
    by_size = [agreement(supports[:, place], n_allowed) for place in range(len(sizes))]
    sources = {"subsets": subsets, "source": logits[0], "target": logits[1]}
    config = {"sizes": sizes, "n_splits": n_splits, "exclude_own": exclude_own}
    return STABILITY.dataset(
        {
            "stability": np.stack([one.stability for one in by_size], axis=1),
            "stability_low": np.stack([one.low for one in by_size], axis=1),
            "stability_high": np.stack([one.high for one in by_size], axis=1),
            "half_support": supports[..., : max(sizes)].astype(np.int32),
            "n_near_equal": _near_equal(found, gram, cross, sizes, leaves_own_out),
            "mean_stability": np.array([one.mean for one in by_size]),
            "mean_stability_low": np.array([one.mean_low for one in by_size]),
            "mean_stability_high": np.array([one.mean_high for one in by_size]),
        },
        coords={name: found[name] for name in STABILITY.coords if name in found.coords}
        | {"support_size": np.array(sizes, np.int32)},
        attrs={
            "source": models[0],
            "target": models[1],
            "n_halves": 2 * n_splits,
            **provenance(
                "measure_stability",
                f"Stability of the best subsets of {models[1]} in {models[0]}",
                config=config,
                sources={role: fingerprint(path) for role, path in sources.items()},
                seed=seed,
                packages=("numba",),
            ),
        },
    )


def _near_equal(
    found: xr.Dataset,
    gram: np.ndarray,
    cross: np.ndarray,
    sizes: Sequence[int],
    leaves_own_out: bool,
) -> np.ndarray:
    """Near-equal supports of every target at every size."""
    power = found["target_second_moment"].values
    supports = found["support"].sel(support_size=sizes).values
    targets = found["target_category"].values
    alive = np.diagonal(gram) > 0
    counts = np.zeros((len(targets), len(sizes)), np.int64)
    for row, target in enumerate(progress(targets, "exchanges", len(targets), "target")):
        allowed = alive.copy()
        allowed[target] &= not leaves_own_out
        b = np.ascontiguousarray(cross[:, target])
        for place in range(len(sizes)):
            support = supports[row, place]
            counts[row, place] = count_near_equal(
                gram, b, power[row], support[support >= 0], allowed
            )
    return counts
