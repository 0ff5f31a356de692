"""Draw |b_j| against w_j with the bar lambda/2 for some targets of every pair of networks (Figure 3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.correlation import plot_correlation, read_correlations
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(correlations: Sequence[str], png: str, svg: str) -> None:
    stores = [open_store(path) for path in correlations]
    rows = [
        (store.attrs["source"], store.attrs["target"], read_correlations(store)) for store in stores
    ]
    save_figure(plot_correlation(rows), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.input.correlations, snakemake.output.png, snakemake.output.svg)
