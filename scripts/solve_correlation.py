"""Solve some targets of one ordered pair of networks for Figure 3, with their correlations."""

from typing import TYPE_CHECKING, Any

from neuraldeps.dependencies.correlation import solve_correlation
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    target: str,
    pair: str,
    correlation: str,
    *,
    models: tuple[str, str],
    **options: Any,
) -> None:
    write_store(solve_correlation(source, target, pair, models, **options), correlation)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.target,
            snakemake.input.pair,
            snakemake.output.correlation,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            **dict(snakemake.params.items()),
        )
