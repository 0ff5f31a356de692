"""Judge sources of an ordered pair that nobody searched for: random ones, the nearest, and all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.controls.evaluation import evaluate_controls
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    subsets: str,
    within: str,
    pair: str,
    logits: tuple[str, str],
    controls: str,
    *,
    models: tuple[str, str],
    sizes: Sequence[int],
    exclude_own: bool,
    seed: int,
    min_positives: int,
    threads: int,
    device: str | None = None,
) -> None:
    dataset = evaluate_controls(
        subsets,
        within,
        pair,
        logits,
        models,
        sizes=sizes,
        exclude_own=exclude_own,
        seed=seed,
        min_positives=min_positives,
        n_threads=threads,
        device=device,
    )
    write_store(dataset, controls)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.subsets,
            snakemake.input.within,
            snakemake.input.pair,
            (snakemake.input.source, snakemake.input.target),
            snakemake.output.controls,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            sizes=snakemake.params.sizes,
            exclude_own=snakemake.params.exclude_own,
            seed=snakemake.params.seed,
            min_positives=snakemake.params.min_positives,
            threads=snakemake.threads,
            # no parameter: a device gives the same numbers but for rounding
            device=snakemake.config["resources"]["reduction_device"],
        )
