"""Learn new categories as linear combinations of a base network's stored logits."""

import csv
from typing import TYPE_CHECKING, Any

from neuraldeps.generalizability import weights as library
from neuraldeps.generalizability.partition import read_split
from neuraldeps.logs import job_log
from neuraldeps.stores import aside, write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(logits: str, categories: str, weights: str, times: str, **how: Any) -> None:
    dataset, learned = library.fit_new_categories(logits, read_split(categories), **how)
    write_store(dataset, weights)
    with aside(times) as path, path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["variant", "passes", "seconds"])
        rows.writerows(
            (name, one.solution.passes, round(one.seconds, 3)) for name, one in learned.items()
        )


if __name__ == "__main__":
    with job_log(snakemake.log.text):
        main(
            snakemake.input.logits,
            snakemake.input.categories,
            snakemake.output.weights,
            snakemake.log.times,
            variants=snakemake.params.variants,
            samples_per_category=snakemake.params.samples_per_category,
            held_out_every=snakemake.params.held_out_every,
            binary=snakemake.params.binary,
            model=snakemake.wildcards.model,
            seed=int(snakemake.wildcards.seed),
        )
