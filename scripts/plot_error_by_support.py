"""Draw the error on positive images against the support size, over all categories, per pair."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.distribution import plot_error_by_support
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(evaluations: Sequence[str], png: str, svg: str, *, fit: str, test: str) -> None:
    stores = [open_store(path) for path in evaluations]
    save_figure(plot_error_by_support(stores, fit, test), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.output.png,
            snakemake.output.svg,
            fit=snakemake.params.fit,
            test=snakemake.params.test,
        )
