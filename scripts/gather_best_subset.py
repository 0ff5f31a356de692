"""Gather the batches of one ordered pair of networks in one store, targets in order."""

from typing import TYPE_CHECKING

from neuraldeps.dependencies.best_subset import gather_best_subset
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(parts: list[str], subsets: str) -> None:
    write_store(gather_best_subset(parts), subsets)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(list(snakemake.input.parts), snakemake.output.subsets)
