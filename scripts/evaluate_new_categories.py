"""Evaluate [f; W f] and the baseline on held-out images, over all and within base and new categories."""

from typing import TYPE_CHECKING, Any

from neuraldeps.generalizability import evaluation as accuracy
from neuraldeps.generalizability.partition import read_split
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    weights: str, logits: str, baseline: str, categories: str, evaluation: str, **how: Any
) -> None:
    split = read_split(categories)
    write_store(
        accuracy.evaluate_new_categories(weights, logits, baseline, split, **how), evaluation
    )


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
