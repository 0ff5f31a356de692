"""Evaluate the dependencies of one ordered pair of networks on the images of one or more splits."""

from typing import TYPE_CHECKING

from neuraldeps.dependencies.evaluation import evaluate_dependencies
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    paths: str,
    subsets: str,
    within: str,
    pair: str,
    source: list[str],
    target: list[str],
    evaluation: str,
    *,
    splits: list[str],
    dataset: str,
    min_positives: int,
    threads: int,
    device: str | None = None,
) -> None:
    logits = dict(zip(splits, zip(source, target, strict=True), strict=True))
    result = evaluate_dependencies(
        paths,
        subsets,
        within,
        pair,
        logits,
        dataset=dataset,
        min_positives=min_positives,
        n_threads=threads,
        device=device,
    )
    write_store(result, evaluation)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.paths,
            snakemake.input.subsets,
            snakemake.input.within,
            snakemake.input.pair,
            list(snakemake.input.source),
            list(snakemake.input.target),
            snakemake.output.evaluation,
            splits=snakemake.params.splits,
            dataset=snakemake.params.dataset,
            min_positives=snakemake.params.min_positives,
            threads=snakemake.threads,
            # no parameter: a device gives the same numbers but for rounding
            device=snakemake.config["resources"]["reduction_device"],
        )
