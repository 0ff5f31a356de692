"""Target categories as combinations of base categories alone: Figure 4's numbers."""

import numpy as np
import xarray as xr

from neuraldeps.covlasso import solve_covlasso
from neuraldeps.dependencies.covlasso import coordinates_of
from neuraldeps.stores import fingerprint, map_array, open_store, provenance
from neuraldeps.stores.layouts import CHORD


def draw_categories(
    n: int, n_base: int, n_targets: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw base and target categories, disjoint, each in ascending order.

    Parameters
    ----------
    n : int
        All categories.
    n_base, n_targets : int
        How many of each.
    seed : int
        Of the draw.

    Returns
    -------
    tuple of ndarray of int64
        Base and target categories.
    """
    drawn = np.random.default_rng(seed).permutation(n)
    return np.sort(drawn[:n_base]), np.sort(drawn[n_base : n_base + n_targets])


def solve_chord(
    moments: str, *, n_base: int, n_targets: int, support_size: int, seed: int
) -> xr.Dataset:
    """Solve CovLasso within a network for some targets, with some base categories as their only sources.

    Parameters
    ----------
    moments : str
        Moment store of the network.
    n_base, n_targets : int
        How many base and target categories are drawn, none of them twice.
    support_size : int
        Largest number of base categories per target.
    seed : int
        Of the draw.

    Returns
    -------
    xarray.Dataset
        Along (`target_category`, `source_category`), the drawn ones in ascending order: `coef`, 0
        where a base category is not used. Along `target_category`: the solution's `alpha`,
        `squared_error` and `dual_gap`, in squared logits.

    References
    ----------
    "Neural Dependencies Emerging from Learning Massive Categories", CVPR 2023, Figure 4.
    """
    store, second_moment = open_store(moments), map_array(moments, "second_moment")
    base, targets = draw_categories(len(second_moment), n_base, n_targets, seed)
    solution = solve_covlasso(
        second_moment, support_size=support_size, targets=targets, sources=base
    )
    per_target = {name: getattr(solution, name) for name in ("alpha", "squared_error", "dual_gap")}
    coef = solution.to_sparse(len(second_moment)).toarray()[:, base]
    names = coordinates_of({"source": store, "target": store}, targets)
    return CHORD.dataset(
        {"coef": coef, **per_target},
        coords={
            name: values[base] if name.startswith("source") else values
            for name, values in names.items()
        },
        attrs={
            "source": store.attrs["source"],
            "target": store.attrs["source"],
            **provenance(
                "solve_chord",
                f"Categories of {store.attrs['source']} from base categories alone",
                config={"n_base": n_base, "n_targets": n_targets, "support_size": support_size},
                sources={"moments": fingerprint(moments)},
                seed=seed,
                packages=("numba",),
            ),
        },
    )
