"""Solve CovLasso for one strided batch of target categories of an ordered pair of networks."""

from typing import TYPE_CHECKING

from neuraldeps.dependencies.covlasso import solve_covlasso
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    target: str,
    pair: str,
    part: str,
    *,
    models: tuple[str, str],
    batch: int,
    batches: int,
    max_support: int,
    exclude_own: bool,
    alpha: list[float],
    relative_alpha: list[float],
    threads: int,
) -> None:
    dataset = solve_covlasso(
        source,
        target,
        pair,
        models,
        batch=batch,
        batches=batches,
        max_support=max_support,
        exclude_own=exclude_own,
        alpha=alpha,
        relative_alpha=relative_alpha,
        n_threads=threads,
    )
    write_store(dataset, part)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.target,
            snakemake.input.pair,
            snakemake.output.part,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            batch=int(snakemake.wildcards.batch),
            threads=snakemake.threads,
            **dict(snakemake.params.items()),
        )
