"""Draw the star graphs of all pairs of networks in one figure (Figures 1 and 2)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.dependencies.cases import read_case
from neuraldeps.figures.pictures import sample_pictures
from neuraldeps.figures.star import plot_star_panel
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    cases: str,
    logits: str,
    png: str,
    svg: str,
    *,
    test: str,
    estimator: str,
) -> None:
    shown = [read_case(cases, open_store(path)) for path in evaluations]
    codes = {code for case in shown for code in case.codes}
    pictures = sample_pictures(open_store(logits), codes)
    figure = plot_star_panel(shown, estimator=estimator, split=test, pictures=pictures)
    save_figure(figure, png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.input.cases,
            snakemake.input.logits,
            snakemake.output.png,
            snakemake.output.svg,
            test=snakemake.params.test,
            estimator=snakemake.params.estimator,
        )
