"""Index as many photos of the one new category as of all the others, to learn from and to evaluate on."""

from typing import TYPE_CHECKING

from neuraldeps.generalizability.partition import read_split
from neuraldeps.images import index as photos
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store, write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(index: str, categories: str, images: str, *, n_each: int, seed: int) -> None:
    split = read_split(categories)
    balanced = photos.index_balanced(
        open_store(index).load(), split.base, split.new, n_each=n_each, seed=seed
    )
    write_store(balanced, images)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.index,
            snakemake.input.categories,
            snakemake.output.images,
            n_each=snakemake.params.n_each,
            seed=int(snakemake.wildcards.seed),
        )
