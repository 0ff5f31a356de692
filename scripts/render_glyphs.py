"""Draw one fixed set of images: every character equally often, in random faces and poses."""

from typing import TYPE_CHECKING

import torch

from neuraldeps.images import poses
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str, images: str, *, split: str, samples_per_category: int, img_size: int, seed: int
) -> None:
    torch.set_num_threads(1)
    drawn = poses.render_glyphs(
        bitmaps, split, samples_per_category=samples_per_category, img_size=img_size, seed=seed
    )
    poses.write_images(drawn, images)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.output.images,
            split=snakemake.wildcards.split,
            samples_per_category=snakemake.params.samples_per_category,
            img_size=snakemake.params.img_size,
            seed=snakemake.params.seed,
        )
