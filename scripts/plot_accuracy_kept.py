"""Draw what is kept of the accuracy against the support size, beside what needs no search or training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.accuracy import plot_accuracy_kept
from neuraldeps.figures.style import save_widths
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    controls: Sequence[str],
    control_evaluations: Sequence[str],
    outputs: Mapping[str, str],
    *,
    test: str,
) -> None:
    stores, nulls, networks = (
        [open_store(path) for path in paths]
        for paths in (evaluations, controls, control_evaluations)
    )
    save_widths(
        lambda width: plot_accuracy_kept(stores, nulls, networks, test=test, width=width), outputs
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.evaluations),
            list(snakemake.input.controls),
            list(snakemake.input.control_evaluations),
            dict(snakemake.output.items()),
            test=snakemake.params.test,
        )
