"""Draw the stability of the best subsets over halves of the images against their error."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.figures.stability import plot_stability
from neuraldeps.figures.style import save_widths
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    stability: Sequence[str],
    outputs: Mapping[str, str],
    *,
    test: str,
    size: int,
) -> None:
    stores, stable = ([open_store(path) for path in paths] for paths in (evaluations, stability))
    save_widths(
        lambda width: plot_stability(stores, stable, test=test, size=size, width=width), outputs
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.evaluations),
            list(snakemake.input.stability),
            dict(snakemake.output.items()),
            test=snakemake.params.test,
            size=snakemake.params.size,
        )
