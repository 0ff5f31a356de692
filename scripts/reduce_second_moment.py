"""Reduce the logits of two networks to their uncentred second moment."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuraldeps.engines import in_threads, on_cluster
from neuraldeps.logits.store import Centering
from neuraldeps.logs import job_log
from neuraldeps.moments import reduce_second_moment
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    target: str,
    moments: str,
    *,
    models: tuple[str, str],
    centering: Centering,
    scheduler: str | None,
    threads: int,
    device: str | None = None,
) -> None:
    # absolute: workers on a cluster have a working directory of their own
    f, g = (str(Path(path).absolute()) for path in (source, target))
    reduction = (
        in_threads(threads, "second moment", device)
        if scheduler is None
        else on_cluster(scheduler, device)
    )
    with reduction as how:
        dataset = reduce_second_moment(f, g, centering, models, **how)
    write_store(dataset, moments, contiguous=["second_moment"])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.target,
            snakemake.output.moments,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            centering=snakemake.params.centering,
            # no parameters: another scheduler gives the same bytes, a device but for rounding
            scheduler=snakemake.config["resources"]["dask_scheduler"],
            threads=snakemake.threads,
            device=snakemake.config["resources"]["reduction_device"],
        )
