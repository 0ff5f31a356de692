"""Hold Eq. 5, Theorem 3 and Conjecture 1 against every CovLasso solution of a pair."""

from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.stores import write_store
from neuraldeps.theory.sparsity import check_sparsity

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    paths: str,
    within: str,
    pair: str,
    redundancy: str | None,
    sparsity: str,
    *,
    models: tuple[str, str],
    exclude_own: bool,
) -> None:
    dataset = check_sparsity(
        paths, within, pair, models, exclude_own=exclude_own, redundancy=redundancy
    )
    write_store(dataset, sparsity)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.paths,
            snakemake.input.within,
            snakemake.input.pair,
            snakemake.input.get("redundancy"),
            snakemake.output.sparsity,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            exclude_own=snakemake.params.exclude_own,
        )
