"""Draw as many images of the one new category as of all the others, to learn from and to evaluate on."""

from typing import TYPE_CHECKING

import torch

from neuraldeps.generalizability.partition import read_split
from neuraldeps.images import poses
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str, categories: str, images: str, *, n_each: int, img_size: int, seed: int
) -> None:
    torch.set_num_threads(1)
    split = read_split(categories)
    drawn = poses.render_balanced(
        bitmaps, split.base, split.new, n_each=n_each, img_size=img_size, seed=seed
    )
    poses.write_images(drawn, images)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.input.categories,
            snakemake.output.images,
            n_each=snakemake.params.n_each,
            img_size=snakemake.params.img_size,
            seed=int(snakemake.wildcards.seed),
        )
