"""Dask clusters: asked whether they can do the work before any is sent, and never waited for forever."""

import asyncio
import contextlib
import logging
import pkgutil
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dask
from threadpoolctl import threadpool_limits

from neuraldeps import __version__
from neuraldeps.devices import check_device
from neuraldeps.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

ANSWER = 10.0  # seconds that a scheduler has to answer, and to have workers
ABANDONED = 60.0  # seconds without a worker after which work in progress is given up
PACKAGES = ("dask", "distributed", "numpy", "xarray", "zarr")
START = "start it and its workers in this project's environment, with `pip install -e .` done"


@contextlib.contextmanager
def in_threads(
    threads: int, what: str | None, device: str | None = None
) -> Iterator[dict[str, Any]]:
    """Reduce on threads of this process: what `second_moment` needs to know of them.

    Parameters
    ----------
    threads : int
        How many.
    what : str, optional
        Is reduced, for the progress bar; there is none without.
    device : str, optional
        That reduces, as `check_device` knows them; NumPy by default.

    Yields
    ------
    dict
        Keyword arguments of `neuraldeps.moments.second_moment`.
    """
    check_device(device)
    bar: contextlib.AbstractContextManager = contextlib.nullcontext()
    if what:
        from tqdm.dask import TqdmCallback  # in a notebook it asks for widgets when it is imported

        bar = TqdmCallback(desc=what)
    with (
        threadpool_limits(1, "blas"),
        dask.config.set(scheduler="threads", num_workers=threads),
        bar,
    ):
        yield {"compute": dask.compute, "threads": threads, **_on(device)}


@contextlib.contextmanager
def on_cluster(scheduler: str, device: str | None = None) -> Iterator[dict[str, Any]]:
    """Reduce on the workers of a Dask scheduler: what `second_moment` needs to know of them.

    Parameters
    ----------
    scheduler : str
        Address, ``tcp://...``.
    device : str, optional
        That reduces on every worker, which must have it; NumPy by default.

    Yields
    ------
    dict
        Keyword arguments of `neuraldeps.moments.second_moment`.
    """
    with connect(scheduler) as client:
        client.run(check_device, device)
        yield {
            "compute": partial(compute, client, address=scheduler),
            "limit_blas": True,
            "threads": sum(client.nthreads().values()),
            **_on(device),
        }


def _on(device: str | None) -> dict[str, str]:
    """Nothing for NumPy: not every reduction can use a device."""
    return {} if device is None else {"device": device}


@contextlib.contextmanager
def connect(address: str) -> Iterator["Client"]:
    """Connect to a Dask scheduler that has workers with the same versions of what matters here.

    Parameters
    ----------
    address : str
        As ``tcp://host:8786``.

    Yields
    ------
    distributed.Client

    Raises
    ------
    InputError
        Within seconds, where nobody answers, what answers is no scheduler, it has no worker, or a
        worker has other versions or cannot import this package; and where what it computes is lost.
    """
    from distributed import Client
    from distributed.client import CancelledError
    from distributed.scheduler import KilledWorker

    key = f"resources.dask_scheduler is {address}"
    asyncio.run(_inspect(address, key))
    with Client(address, timeout=ANSWER) as client:
        _check_package(client, key)
        logger.info("%s with %d workers", address, len(client.nthreads()))
        try:
            yield client
        except KilledWorker as error:
            raise InputError(
                f"{key}: its workers kept dying on the same task; look at their logs, give "
                "them more memory, or set null to reduce on threads"
            ) from error
        except CancelledError as error:
            raise InputError(
                f"{key}: the scheduler was lost before it was done; start it and run again"
            ) from error


def compute(client: "Client", collection: Any, address: str) -> tuple[Any, ...]:
    """Compute a Dask collection on a cluster, unless all of its workers stay away.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    collection : Dask collection
        What is computed.
    address : str
        Of its scheduler, for the error message.

    Returns
    -------
    tuple
        The one result.

    Raises
    ------
    InputError
        If no worker was there for a minute.
    """
    from distributed import wait

    future = client.compute(collection)
    seen = time.monotonic()
    while not future.done():
        try:
            wait(future, timeout=1)
        except TimeoutError:
            with contextlib.suppress(OSError):  # a scheduler that is lost cancels the future soon
                seen = time.monotonic() if client.nthreads() else seen
        if time.monotonic() - seen > ABANDONED:
            raise InputError(
                f"resources.dask_scheduler is {address}: it lost all of its workers; start "
                "workers and run again, or set null to reduce on threads"
            )
    return (future.result(),)


async def _inspect(address: str, key: str) -> None:
    """Refuse an address without a scheduler, a scheduler without workers, and other versions."""
    from distributed import Security, rpc
    from distributed.versions import get_versions

    how = {"timeout": ANSWER / 2, "connection_args": Security().get_connection_args("client")}
    silent = "nobody answers there"
    try:
        async with asyncio.timeout(ANSWER), rpc(address, **how) as answering:
            kind = (await answering.identity())["type"]
            if kind == "Scheduler":
                silent = "its workers do not answer"
                scheduler = await answering.versions(packages=PACKAGES)
                workers = await _versions_of_workers(answering)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{key}: that is not a scheduler's address ({error}); give it as tcp://host:8786"
        ) from error
    except Exception as error:  # whatever listens there may answer anything
        raise InputError(
            f"{key}: {silent}; start a Dask scheduler with workers, correct the address, "
            "or set null to reduce on threads"
        ) from error
    if kind != "Scheduler":
        raise InputError(f"{key}: that is a Dask {kind.lower()}; give its scheduler's address")
    if not workers:
        raise InputError(
            f"{key}: it has no workers; start some, wait for those that are queued, "
            "or set null to reduce on threads"
        )
    own = get_versions(PACKAGES)["packages"]
    _check_versions(own, scheduler["packages"], ("dask", "distributed"), f"{key}: it")
    for worker, theirs in workers.items():
        _check_versions(own, theirs["packages"], PACKAGES, f"{key}: its worker {worker}")


async def _versions_of_workers(scheduler: Any) -> dict[str, Any]:
    """Versions of what every worker has; workers that have just been started are waited for."""
    until = time.monotonic() + ANSWER / 2
    while True:
        message = {"op": "versions", "packages": PACKAGES}
        workers = await scheduler.broadcast(msg=message, on_error="ignore")
        if workers or time.monotonic() > until:
            return workers
        await asyncio.sleep(0.2)


def _check_versions(
    own: Mapping[str, Any], theirs: Mapping[str, Any], packages: Sequence[str], whose: str
) -> None:
    """Refuse other versions of packages, and of Python beyond its bug fixes."""
    pythons = [".".join(one["python"].split(".")[:2]) for one in (theirs, own)]
    pairs = [("Python", *pythons), *((name, theirs.get(name), own[name]) for name in packages)]
    others = [
        f"{name} {there or 'missing'}, here {here}" for name, there, here in pairs if there != here
    ]
    if others:
        raise InputError(f"{whose} has {'; '.join(others)}; {START}")


def _check_package(client: "Client", key: str) -> None:
    """Refuse workers without this package, and with another version of it."""
    try:
        client.run(pkgutil.resolve_name, "neuraldeps.moments:__name__")
        versions = client.run(pkgutil.resolve_name, "neuraldeps:__version__")
    except ImportError as error:
        raise InputError(
            f"{key}: its workers cannot import neuraldeps ({error}); {START}"
        ) from error
    for worker, theirs in versions.items():
        if theirs != __version__:
            raise InputError(
                f"{key}: its worker {worker} has neuraldeps {theirs}, here {__version__}; {START}"
            )
