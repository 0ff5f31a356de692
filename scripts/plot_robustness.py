"""Draw Table 3: the dependency, and the two categories, before and after fine-tuning."""

from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.figures.robustness import plot_robustness
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table: str, png: str, svg: str) -> None:
    save_figure(plot_robustness(pd.read_csv(table)), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.input.table, snakemake.output.png, snakemake.output.svg)
