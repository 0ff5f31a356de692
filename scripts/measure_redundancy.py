"""Measure err(0) of every category of a network, and the rank of its logits."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuraldeps.engines import in_threads, on_cluster
from neuraldeps.logits.store import Centering
from neuraldeps.logs import job_log
from neuraldeps.stores import write_store
from neuraldeps.theory.redundancy import Precision, measure_redundancy

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    logits: str,
    redundancy: str,
    *,
    model: str,
    centering: Centering,
    precision: Precision,
    scheduler: str | None,
    threads: int,
) -> None:
    # absolute: workers on a cluster have a working directory of their own
    path = str(Path(logits).absolute())
    with in_threads(threads, "redundancy") if scheduler is None else on_cluster(scheduler) as how:
        dataset = measure_redundancy(path, model, centering, precision=precision, **how)
    write_store(dataset, redundancy)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.logits,
            snakemake.output.redundancy,
            model=snakemake.wildcards.model,
            centering=snakemake.params.centering,
            precision=snakemake.params.precision,
            # no parameter: another scheduler gives the same bytes
            scheduler=snakemake.config["resources"]["dask_scheduler"],
            threads=snakemake.threads,
        )
