"""Draw the dependency that Table 1 shows for one pair of networks as a star graph."""

from typing import TYPE_CHECKING

from neuraldeps.dependencies.cases import read_case
from neuraldeps.figures.pictures import sample_pictures
from neuraldeps.figures.star import plot_star
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluation: str, cases: str, logits: str, png: str, svg: str, *, test: str, estimator: str
) -> None:
    case = read_case(cases, open_store(evaluation))
    pictures = sample_pictures(open_store(logits), case.codes)
    figure = plot_star(case, estimator=estimator, split=test, pictures=pictures)
    save_figure(figure, png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluation,
            snakemake.input.cases,
            snakemake.input.logits,
            snakemake.output.png,
            snakemake.output.svg,
            test=snakemake.params.test,
            estimator=snakemake.params.estimator,
        )
