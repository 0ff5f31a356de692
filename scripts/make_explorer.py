"""Make a folder to be opened in a browser: every category, pair, estimator and size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.explorer import make_explorer
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    folder: str,
    evaluations: Sequence[str],
    *,
    cards: Sequence[str],
    stability: Sequence[str],
    controls: Sequence[str],
    images: Sequence[str],
    splits: Mapping[str, str],
    options: Mapping[str, int],
    seed: int,
) -> None:
    make_explorer(
        folder,
        evaluations,
        cards=cards,
        stability=stability,
        controls=controls,
        images=images[0] if images else None,
        splits=splits,
        n_images=options["images"],
        image_size=options["image_size"],
        max_images=options["max_images"],
        block_size=options["block_size"],
        map_size=options["map_size"],
        seed=seed,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.output.folder,
            snakemake.input.evaluations,
            cards=snakemake.input.cards,
            stability=snakemake.input.stability,
            controls=snakemake.input.controls,
            images=snakemake.input.images,
            splits=snakemake.params.splits,
            options=snakemake.params.options,
            seed=snakemake.params.seed,
        )
