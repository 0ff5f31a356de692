"""Reduce the logits of two networks to their uncentred second moment."""

import contextlib
from typing import TYPE_CHECKING

import dask
from threadpoolctl import threadpool_limits
from tqdm.dask import TqdmCallback

from neuraldeps.logs import job_log
from neuraldeps.moments import moment_dataset
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    target: str,
    moments: str,
    *,
    models: tuple[str, str],
    gauge: str,
    scheduler: str | None,
    threads: int,
) -> None:
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(threadpool_limits(1, "blas"))
            stack.enter_context(dask.config.set(scheduler="threads", num_workers=threads))
            stack.enter_context(TqdmCallback(desc=f"second moment {'--'.join(models)}"))
            how = {"compute": dask.compute}
        else:
            from distributed import Client

            client = stack.enter_context(Client(scheduler))
            how = {"compute": lambda graph: client.compute([graph], sync=True), "limit_blas": True}
        dataset = moment_dataset(source, target, gauge, models, **how)
    write_store(dataset, moments, contiguous=["second_moment"])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.target,
            snakemake.output.moments,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            gauge=snakemake.params.gauge,
            scheduler=snakemake.params.scheduler,
            threads=snakemake.threads,
        )
