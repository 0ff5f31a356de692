"""Correlations of some targets with every source, next to their CovLasso solutions: Figure 3's numbers."""

import numpy as np
import xarray as xr

from neuraldeps.covlasso import solve_covlasso
from neuraldeps.dependencies.covlasso import coordinates_of, cross_moment
from neuraldeps.stores import fingerprint, map_array, open_store, provenance
from neuraldeps.stores.layouts import CORRELATION


def solve_correlation(
    source_path: str,
    target_path: str,
    pair_path: str,
    models: tuple[str, str],
    *,
    n_targets: int,
    relative_alpha: float,
    exclude_own: bool,
    seed: int,
) -> xr.Dataset:
    """Solve CovLasso for some targets of an ordered pair, drawn by seed, and keep what it screens by.

    Parameters
    ----------
    source_path, target_path, pair_path : str
        Moment stores of the source network, of the target network, and of the two.
    models : tuple of str
        Names of the source and the target network.
    n_targets : int
        How many target categories are drawn; all that have a logit where there are fewer.
    relative_alpha : float
        Penalty as a share of each target's alpha_max.
    exclude_own : bool
        Whether the source category of the target's index is left out between networks.
    seed : int
        Of the draw.

    Returns
    -------
    xarray.Dataset
        Along (`target_category`, `source_category`): `correlation`, b = E[f g_i] in squared logits,
        `coef`, the solution w, and `is_allowed`, whether the category may be a source of the target.
        Along `target_category`: `alpha`, the bar lambda / 2, and the solution's `squared_error` and
        `dual_gap`, in squared logits.

    References
    ----------
    "Neural Dependencies Emerging from Learning Massive Categories", CVPR 2023, Conjecture 1, Figure 3.
    """
    source, target = models
    within = source == target
    stores = {"source": open_store(source_path), "target": open_store(target_path)}
    gram, cross = map_array(source_path, "second_moment"), cross_moment(pair_path, source)
    power = np.diagonal(map_array(target_path, "second_moment")).copy()
    living = np.flatnonzero(power > 0)  # a category without a logit has nothing to show
    rng = np.random.default_rng(seed)
    targets = np.sort(rng.choice(living, min(n_targets, len(living)), replace=False))
    excluded = within or exclude_own
    own = np.arange(len(gram)) == targets[:, np.newaxis]
    is_allowed = ~own if excluded else np.ones_like(own)
    correlation = np.ascontiguousarray(cross[:, targets].T)
    alpha = relative_alpha * np.abs(correlation).max(axis=1, where=is_allowed, initial=0.0)
    solution = solve_covlasso(
        gram,
        None if within else cross,
        None if within else power,
        # a target without any correlation has no dependency at any penalty
        alpha=np.where(alpha > 0, alpha, 1.0),
        targets=targets,
        exclude_own=excluded,
    )
    config = {"n_targets": n_targets, "relative_alpha": relative_alpha, "exclude_own": exclude_own}
    paths = {"source": source_path, "target": target_path, "pair": pair_path}
    return CORRELATION.dataset(
        {
            "correlation": correlation,
            "coef": solution.to_sparse(len(gram)).toarray(),
            "is_allowed": is_allowed,
            "alpha": alpha,
            "squared_error": solution.squared_error,
            "dual_gap": solution.dual_gap,
        },
        coords=coordinates_of(stores, targets),
        attrs={
            "source": source,
            "target": target,
            **provenance(
                "solve_correlation",
                f"Correlations and coefficients of some categories of {target} from {source}",
                config=config,
                sources={role: fingerprint(path) for role, path in paths.items()},
                seed=seed,
                packages=("numba",),
            ),
        },
    )
