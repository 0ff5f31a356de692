"""Find a pair's best subsets again on random halves of the images, and see what stays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.stability.stability import measure_stability
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    subsets: str,
    within: str,
    pair: str,
    logits: tuple[str, str],
    stability: str,
    *,
    models: tuple[str, str],
    sizes: Sequence[int],
    n_splits: int,
    exclude_own: bool,
    seed: int,
    threads: int,
    device: str | None = None,
) -> None:
    dataset = measure_stability(
        subsets,
        within,
        pair,
        logits,
        models,
        sizes=sizes,
        n_splits=n_splits,
        exclude_own=exclude_own,
        seed=seed,
        n_threads=threads,
        device=device,
    )
    write_store(dataset, stability)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.subsets,
            snakemake.input.within,
            snakemake.input.pair,
            (snakemake.input.source, snakemake.input.target),
            snakemake.output.stability,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            sizes=snakemake.params.sizes,
            n_splits=snakemake.params.n_splits,
            exclude_own=snakemake.params.exclude_own,
            seed=snakemake.params.seed,
            threads=snakemake.threads,
            # no parameter: a device gives the same numbers but for rounding
            device=snakemake.config["resources"]["reduction_device"],
        )
