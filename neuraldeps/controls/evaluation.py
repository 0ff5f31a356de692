"""Sources that nobody searched for, judged on the images that judge every dependency."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neuraldeps.controls.supports import (
    dense_solutions,
    nearest_supports,
    random_supports,
    refitted,
)
from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.covlasso import cross_moment
from neuraldeps.dependencies.evaluation import means, ratio
from neuraldeps.dependencies.scoring import evaluate
from neuraldeps.devices import check_device
from neuraldeps.estimators import Solutions
from neuraldeps.logits.store import LogitsFile, labels_of, side_coordinates
from neuraldeps.seeds import seed_of
from neuraldeps.stores import fingerprint, map_array, open_store, provenance, strings
from neuraldeps.stores.layouts import CONTROLS

MOST_DENSE = 4096  # categories up to which all sources at once are affordable
MEASURES = ("relative_error_positive", "positive_accuracy", "relative_error", "accuracy")


def evaluate_controls(
    subsets: str,
    within: str,
    pair: str,
    logits: tuple[str, str],
    models: tuple[str, str],
    *,
    sizes: Sequence[int],
    exclude_own: bool,
    seed: int,
    min_positives: int = 1,
    n_threads: int = 1,
    device: str | None = None,
) -> xr.Dataset:
    """Judge random, nearest and all sources of every target, with least-squares coefficients.

    Parameters
    ----------
    subsets : str
        Store of the best subsets of the ordered pair.
    within, pair : str
        Second moments of the source network, and of the pair.
    logits : tuple of str
        Logits stores of source and target over the split that judges.
    models : tuple of str
        Their names.
    sizes : sequence of int
        Support sizes of random and nearest sources.
    exclude_own : bool
        Whether, between two networks, the target's own category is no source.
    seed : int
        Of the random sources.
    min_positives : int
        As `neuraldeps.dependencies.scoring.evaluate` takes it.
    n_threads : int
        Threads; no number depends on it.
    device : str, optional
        As `neuraldeps.dependencies.scoring.evaluate` takes it.

    Returns
    -------
    xarray.Dataset
        Of the layout `CONTROLS`, along `target_category` and `predictor`: `random` and `nearest` at
        every size; between networks `own`, the category of the target's index alone, and `with own`,
        that and the best subset of others; and `dense`, all sources, for at most 4096 categories.
    """
    check_device(device)
    store, target_store = (open_store(path) for path in logits)
    gram, cross = map_array(within, "second_moment"), cross_moment(pair, models[0])
    targets = np.arange(cross.shape[1])
    leaves_own_out = models[0] == models[1] or exclude_own
    best = None if models[0] == models[1] else open_store(subsets)["support"]
    predictors = _predictors(gram, cross, leaves_own_out, sizes, seed, best)
    found = [one for solutions in predictors.values() for one in solutions]
    candidates = [Candidates.from_padded(targets, *one) for _, one in found]
    centering = open_store(pair).attrs["centering"]
    result = evaluate(
        LogitsFile(logits[0], centering),
        LogitsFile(logits[1], centering),
        Candidates.concatenate(candidates),
        labels_of(logits[1]),
        min_positives=min_positives,
        n_threads=n_threads,
        device=device,
    )
    measured = means(result)
    own = ratio(result.sums.original_correct_positive, result.sums.n_positive)
    sources = {
        "subsets": subsets,
        "within": within,
        "pair": pair,
        "source": logits[0],
        "target": logits[1],
    }
    return CONTROLS.dataset(
        {name: measured[name] for name in MEASURES} | {"original_positive_accuracy": own},
        coords=side_coordinates(target_store, "target")
        | {
            "predictor": strings([name for name, some in predictors.items() for _ in some]),
            "predictor_size": np.array([size for size, _ in found], np.int32),
        },
        attrs={
            "source": models[0],
            "target": models[1],
            "n_samples": store.sizes["sample"],
            **provenance(
                "evaluate_controls",
                f"Sources of {models[1]} in {models[0]} that nobody searched for, judged",
                config={"sizes": list(sizes), "exclude_own": exclude_own, "models": list(models)},
                sources={role: fingerprint(path) for role, path in sources.items()},
                seed=seed,
                packages=("numba",),
            ),
        },
    )


def _predictors(
    gram: np.ndarray,
    cross: np.ndarray,
    leaves_own_out: bool,
    sizes: Sequence[int],
    seed: int,
    best: xr.DataArray | None,
) -> dict[str, list[tuple[int, Solutions]]]:
    """By name, sizes and solutions: one of each target, fitted by least squares."""
    targets = np.arange(cross.shape[1])
    allowed = np.broadcast_to(np.diagonal(gram) > 0, (len(targets), len(gram))).copy()
    allowed[targets, targets] &= not leaves_own_out
    most = len(gram) - leaves_own_out
    sizes = [size for size in sizes if size <= most]
    supports = {
        "random": random_supports(allowed, sizes, targets, seed_of(seed, "random")),
        "nearest": nearest_supports(gram, cross, allowed, sizes, targets),
    }
    found = {
        name: [
            (size, refitted(gram, cross, targets, support[:, [place]]))
            for place, size in enumerate(sizes)
        ]
        for name, support in supports.items()
    }
    if best is not None:
        own = targets.astype(np.int32)[:, np.newaxis, np.newaxis]
        found["own"] = [(1, refitted(gram, cross, targets, own))]
        known = [size for size in sizes if size in best["support_size"].values]
        found["with own"] = [
            (size + 1, refitted(gram, cross, targets, np.concatenate([own, others], axis=2)))
            for size in known * leaves_own_out
            for others in [best.sel(support_size=[size]).values.astype(np.int32)]
        ]
    if len(gram) <= MOST_DENSE:
        dense = dense_solutions(gram, cross, targets, own=not leaves_own_out)
        found["dense"] = [(most, dense)]
    return found
