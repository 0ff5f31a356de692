"""Draw the dependency that Table 1 shows for one pair of networks as a star graph."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.cases import chosen_case
from neuraldeps.figures.pictures import sample_pictures
from neuraldeps.figures.star import star_figure
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluation: str,
    logits: str,
    png: str,
    svg: str,
    *,
    splits: tuple[str, str],
    cases: str | Mapping[str, str],
    support_size: Sequence[int],
    choose_by: str,
    estimator: str,
) -> None:
    fit, test = splits
    case = chosen_case(
        open_store(evaluation), cases, split=fit, support_size=support_size, estimator=choose_by
    )
    pictures = sample_pictures(open_store(logits), case.codes)
    figure = star_figure(case, estimator=estimator, split=test, pictures=pictures)
    save_figure(figure, png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluation,
            snakemake.input.logits,
            snakemake.output.png,
            snakemake.output.svg,
            splits=(snakemake.params.fit, snakemake.params.test),
            cases=snakemake.params.cases,
            support_size=snakemake.params.support_size,
            choose_by=snakemake.params.choose_by,
            estimator=snakemake.params.estimator,
        )
