"""Draw how many categories' logits few others give within 10, 20 and 30 %, against the support size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.distribution import plot_share_within
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(evaluations: Sequence[str], png: str, svg: str, *, test: str) -> None:
    stores = [open_store(path) for path in evaluations]
    save_figure(plot_share_within(stores, test), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.output.png,
            snakemake.output.svg,
            test=snakemake.params.test,
        )
