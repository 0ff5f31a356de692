"""Draw categories in every face, test images of them, and images out of distribution."""

from typing import TYPE_CHECKING

from neuraldeps.figures.contact_sheet import choose_rows, plot_contact_sheet
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str,
    test: str,
    ood: str | None,
    png: str,
    svg: str,
    *,
    n_categories: int,
    n_images: int,
    seed: int,
) -> None:
    sheet = choose_rows(
        open_store(bitmaps),
        open_store(test),
        None if ood is None else open_store(ood),
        n_categories=n_categories,
        n_images=n_images,
        seed=seed,
    )
    save_figure(plot_contact_sheet(sheet), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.input.test,
            snakemake.input.ood[0] if snakemake.input.ood else None,
            snakemake.output.png,
            snakemake.output.svg,
            n_categories=snakemake.params.n_categories,
            n_images=snakemake.params.n_images,
            seed=snakemake.params.seed,
        )
