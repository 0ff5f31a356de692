"""Reduce the logits of two networks to their uncentred second moment."""

import contextlib
import logging
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from threadpoolctl import threadpool_limits
from tqdm.dask import TqdmCallback

from neuraldeps.errors import InputError
from neuraldeps.logs import job_log
from neuraldeps.moments import moment_dataset
from neuraldeps.stores import write_store

if TYPE_CHECKING:
    from distributed import Client
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
    # absolute: workers on a cluster have a working directory of their own
    paths = (str(Path(path).absolute()) for path in (source, target))
    with in_threads(threads) if scheduler is None else on_cluster(scheduler) as how:
        dataset = moment_dataset(*paths, gauge, models, **how)
    write_store(dataset, moments, contiguous=["second_moment"])


@contextlib.contextmanager
def in_threads(threads: int) -> Iterator[dict[str, Any]]:
    with (
        threadpool_limits(1, "blas"),
        dask.config.set(scheduler="threads", num_workers=threads),
        TqdmCallback(desc="second moment"),
    ):
        yield {"compute": dask.compute, "threads": threads}


@contextlib.contextmanager
def on_cluster(scheduler: str) -> Iterator[dict[str, Any]]:
    with connect(scheduler) as client:
        yield {
            "compute": lambda graph: client.compute([graph], sync=True),
            "limit_blas": True,
            "threads": sum(client.nthreads().values()),
        }


def connect(scheduler: str) -> "Client":
    """A client of a scheduler that has workers which know this package; one line if it has not."""
    from distributed import Client

    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise InputError(
            f"resources.dask_scheduler is {scheduler}: nobody answers there; start a Dask scheduler, "
            "correct the address, or set null to reduce on threads"
        ) from error
    client.wait_for_workers(1)
    try:
        workers = client.run(pkgutil.resolve_name, "neuraldeps.moments:__name__")
    except ImportError as error:
        client.close()
        raise InputError(
            f"resources.dask_scheduler is {scheduler}: its workers cannot import neuraldeps ({error}); "
            "start them in this project's environment, with `pip install -e .` done"
        ) from error
    logging.getLogger(__name__).info("%s with %d workers", scheduler, len(workers))
    return client


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.target,
            snakemake.output.moments,
            models=(snakemake.wildcards.source, snakemake.wildcards.target),
            gauge=snakemake.params.gauge,
            # no parameter: another scheduler gives the same bytes
            scheduler=snakemake.config["resources"]["dask_scheduler"],
            threads=snakemake.threads,
        )
