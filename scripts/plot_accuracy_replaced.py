"""Draw every category's accuracy with its logit replaced against the original one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.accuracy import plot_accuracy_replaced
from neuraldeps.figures.style import save_widths
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str], outputs: Mapping[str, str], *, test: str, estimator: str, size: int
) -> None:
    stores = [open_store(path) for path in evaluations]
    save_widths(
        lambda width: plot_accuracy_replaced(
            stores, test=test, estimator=estimator, size=size, width=width
        ),
        outputs,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.evaluations),
            dict(snakemake.output.items()),
            test=snakemake.params.test,
            estimator=snakemake.params.estimator,
            size=snakemake.params.size,
        )
