"""The store of how well new categories, learned from base categories' logits, are told on images."""

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from neuraldeps.errors import StoreError
from neuraldeps.generalizability.accuracy import ARGMAX, GROUPS, classified_rightly, group_accuracy
from neuraldeps.generalizability.partition import Split
from neuraldeps.generalizability.training_logits import ROWS
from neuraldeps.images.labels import position_among
from neuraldeps.stores import fingerprint, open_store, provenance, strings
from neuraldeps.stores.layouts import NEW_CATEGORIES

BASELINE = "baseline"


def evaluate_new_categories(
    weights: str,
    logits: str,
    baseline: str,
    split: Split,
    *,
    model: str,
    seed: int,
    binary: bool,
) -> xr.Dataset:
    """Evaluate ``[f; W f]`` and the baseline on held-out images, over all and within base and new.

    Parameters
    ----------
    weights : str
        Store that `neuraldeps.generalizability.weights.fit_new_categories` made.
    logits, baseline : str
        Stores of the logits of the base network, and of one that knows all categories, of the same
        images.
    split : Split
        Base and new categories.
    model : str
        Name of the network.
    seed : int
        Of the split; for the attributes.
    binary : bool
        See `classified_rightly`.

    Returns
    -------
    xarray.Dataset
        `accuracy` (classifier, group, argmax), the baseline first; strengths and gaps of `W`.

    Raises
    ------
    StoreError
        If the two stores of logits are of different images.
    """
    learned = open_store(weights).load()
    whole, own = open_store(baseline), open_store(logits)
    if not np.array_equal(whole["label"].values, own["label"].values):
        raise StoreError(f"{baseline}: has different images than {logits}; remove both, run again")
    label = own["label"].values.astype(np.int64)
    is_new = position_among(split.new, label) >= 0
    # an image without a label is in no accuracy
    judges = label >= 0
    if "part" in own:
        judges &= own["part"].values == "test"
    n_classifiers = 1 + learned.sizes["variant"]
    right = np.zeros((n_classifiers, len(is_new), 2), bool)
    with threadpool_limits(1, "blas"):
        for first in range(0, len(is_new), ROWS):
            rows = slice(first, first + ROWS)
            theirs, ours = whole["logits"][rows].values, own["logits"][rows].values.astype(float)
            logits_of_new = [theirs[:, split.new], *(ours @ w.T for w in learned["weights"].values)]
            logits_of_base = [theirs[:, split.base], *[ours] * (n_classifiers - 1)]
            for found, base, new in zip(right, logits_of_base, logits_of_new, strict=True):
                found[rows] = classified_rightly(base, new, label[rows], split, binary=binary)
    accuracy = np.stack([group_accuracy(one[judges], is_new[judges]) for one in right])
    restricts_nothing = slice(None) if binary else GROUPS.index("all")
    accuracy[:, restricts_nothing, ARGMAX.index("restricted")] = np.nan
    sources = {"weights": weights, "logits": logits, "baseline": baseline}
    attrs = provenance(
        "evaluate_new_categories",
        "Accuracy with new categories learned from base categories' logits",
        config={"model": model, "binary": binary},
        sources={role: fingerprint(path) for role, path in sources.items()},
        seed=seed,
    )
    size = (learned["weights"].values != 0).sum(axis=2)
    return NEW_CATEGORIES.dataset(
        {
            "accuracy": accuracy,
            "support_size_median": np.r_[np.nan, np.median(size, axis=1)],
            **{name: np.r_[np.nan, learned[name].values] for name in ("strength", "gap")},
            "passes": np.r_[0, learned["passes"].values],
        },
        {
            "classifier": strings([BASELINE, *learned["variant"].values]),
            "images": strings(["all", *learned["images"].values]),
            "penalty": strings(["", *learned["penalty"].values]),
            "group": strings(GROUPS),
            "argmax": strings(ARGMAX),
        },
        attrs | {"n_images": int(judges.sum()), "n_new": len(split.new), "n_base": len(split.base)},
    )
