"""Draw every character in every face: what training draws fresh poses from."""

from typing import TYPE_CHECKING

from neuraldeps.images import glyphs
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bitmaps: str, *, n_categories: int, n_ood: int) -> None:
    write_store(glyphs.render_bitmaps(n_categories, n_ood), bitmaps)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.output.bitmaps,
            n_categories=snakemake.params.n_categories,
            n_ood=snakemake.params.n_ood,
        )
