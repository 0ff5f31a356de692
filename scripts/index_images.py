"""Index one set of photos: paths, labels and categories, no pixels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuraldeps.categories import restriction
from neuraldeps.images import index as photos
from neuraldeps.images.classes import categories_of
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store, write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    images: str,
    fit: str | None,
    *,
    split: str,
    spec: Mapping[str, Any],
    categories: str | None,
    n_categories: int,
    folders_name_categories: bool,
    seed: int,
) -> None:
    index = photos.index_images(
        split,
        spec,
        categories=categories,
        n_categories=n_categories,
        seed=seed,
        of_fit=categories_of(open_store(fit)) if fit else None,
    )
    if folders_name_categories:
        restriction(index, index, "folders")
    write_store(index, images)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.output.images,
            snakemake.input.fit or None,
            split=snakemake.wildcards.split,
            spec=snakemake.params.spec,
            categories=snakemake.params.categories,
            n_categories=snakemake.params.n_categories,
            folders_name_categories=snakemake.params.folders_name_categories,
            seed=snakemake.params.seed,
        )
