"""Judge [f; W f] and the baseline on held-out images, over all and within base and new categories."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from neuraldeps.errors import StoreError
from neuraldeps.generalizability import (
    ARGMAX,
    GROUPS,
    ROWS,
    classified_rightly,
    group_accuracy,
    read_split,
)
from neuraldeps.labels import position_among
from neuraldeps.logs import job_log
from neuraldeps.stores import fingerprint, open_store, provenance, strings, write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

BASELINE = "baseline"


def main(
    weights: str,
    logits: str,
    baseline: str,
    categories: str,
    evaluation: str,
    *,
    model: str,
    seed: int,
    binary: bool,
) -> None:
    learned, split = open_store(weights).load(), read_split(categories)
    whole, own = open_store(baseline), open_store(logits)
    if not np.array_equal(whole["label"].values, own["label"].values):
        raise StoreError(f"{baseline}: shows other images than {logits}; remove both, run again")
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
    dataset = xr.Dataset(
        {
            "accuracy": (
                ("classifier", "group", "argmax"),
                accuracy,
                {"long_name": "share of images classified rightly", "units": "1"},
            ),
            "support_size_median": ("classifier", np.r_[np.nan, np.median(size, axis=1)]),
            **{
                name: ("classifier", np.r_[np.nan, learned[name].values])
                for name in ("strength", "gap")
            },
            "passes": ("classifier", np.r_[0, learned["passes"].values]),
        },
        {
            "classifier": ("classifier", strings([BASELINE, *learned["variant"].values])),
            "images": ("classifier", strings(["all", *learned["images"].values])),
            "penalty": ("classifier", strings(["", *learned["penalty"].values])),
            "group": ("group", strings(GROUPS)),
            "argmax": ("argmax", strings(ARGMAX)),
        },
        attrs | {"n_images": int(judges.sum()), "n_new": len(split.new), "n_base": len(split.base)},
    )
    write_store(dataset, evaluation)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.weights,
            snakemake.input.logits,
            snakemake.input.baseline,
            snakemake.input.categories,
            snakemake.output.evaluation,
            model=snakemake.wildcards.model,
            seed=int(snakemake.wildcards.seed),
            binary=snakemake.params.binary,
        )
