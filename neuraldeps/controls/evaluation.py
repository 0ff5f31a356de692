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
from neuraldeps.dependencies.covlasso import cross_moment
from neuraldeps.dependencies.evaluation import means
from neuraldeps.dependencies.scoring import Candidates, evaluate
from neuraldeps.logits.store import LogitsFile, labels_of, side_coordinates
from neuraldeps.seeds import seed_of
from neuraldeps.stores import fingerprint, map_array, open_store, provenance, strings
from neuraldeps.stores.layouts import CONTROLS

MOST_DENSE = 4096  # categories up to which all sources at once are affordable
MEASURES = ("relative_error_positive", "positive_accuracy", "relative_error", "accuracy")


def evaluate_controls(
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
) -> xr.Dataset:
    """Judge random, nearest and all sources of every target, with least-squares coefficients.

    Parameters
    ----------
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

    Returns
    -------
    xarray.Dataset
        Of the layout `CONTROLS`, along `target_category` and `predictor`: `random` and `nearest` at
        every size, and `dense`, all sources, for at most 4096 categories.
    """
    store, target_store = (open_store(path) for path in logits)
    gram, cross = map_array(within, "second_moment"), cross_moment(pair, models[0])
    targets = np.arange(cross.shape[1])
    leaves_own_out = models[0] == models[1] or exclude_own
    allowed = np.broadcast_to(np.diagonal(gram) > 0, (len(targets), len(gram))).copy()
    if leaves_own_out:
        allowed[targets, targets] = False
    sizes = [size for size in sizes if size <= len(gram) - leaves_own_out]
    supports = {
        "random": random_supports(allowed, sizes, targets, seed_of(seed, "random")),
        "nearest": nearest_supports(gram, cross, allowed, sizes, targets),
    }
    found = {name: refitted(gram, cross, targets, one) for name, one in supports.items()}
    predictors = [(name, size) for name in found for size in sizes]
    if len(gram) <= MOST_DENSE:
        found["dense"] = dense_solutions(gram, cross, targets, own=not leaves_own_out)
        predictors.append(("dense", len(gram) - leaves_own_out))
    candidates = [Candidates.from_padded(targets, *one) for one in found.values()]
    centering = open_store(pair).attrs["centering"]
    result = evaluate(
        LogitsFile(logits[0], centering),
        LogitsFile(logits[1], centering),
        Candidates.concatenate(candidates),
        labels_of(logits[1]),
        min_positives=min_positives,
        n_threads=n_threads,
    )
    measured = means(result)
    own = np.full(len(targets), np.nan)
    positive = result.sums.n_positive
    np.divide(result.sums.original_correct_positive, positive, out=own, where=positive > 0)
    sources = {"within": within, "pair": pair, "source": logits[0], "target": logits[1]}
    return CONTROLS.dataset(
        {name: measured[name] for name in MEASURES} | {"original_positive_accuracy": own},
        coords=side_coordinates(target_store, "target")
        | {
            "predictor": strings([name for name, _ in predictors]),
            "predictor_size": np.array([size for _, size in predictors], np.int32),
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
