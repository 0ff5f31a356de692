"""Snakemake's lock on a run's folder: lifted where the run that took it is no more."""

import fcntl
import os
import platform
from pathlib import Path

_held: list[int] = []  # as long as this process lives


def lift_stale_lock(folder: Path) -> bool:
    """Remove Snakemake's lock if every run of this folder is over, and say that another one has begun.

    A killed Snakemake leaves its lock, which names no process. So every run holds a lock of the
    operating system as well, which ends with it: who gets it alone is alone. Another machine's runs
    are not seen through some file systems of clusters; a lock that was taken there is left.

    Parameters
    ----------
    folder : Path
        Snakemake's own, ``.snakemake``.

    Returns
    -------
    bool
        Whether a lock was lifted.
    """
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "running", os.O_RDWR | os.O_CREAT, 0o666)
    _held.append(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # another run lives
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    except OSError:  # a file system without locks
        return False
    here = platform.node().encode()
    stale = list((folder / "locks").glob("*.lock")) if os.read(descriptor, 256) == here else []
    for lock in stale:
        lock.unlink(missing_ok=True)
    os.pwrite(descriptor, here, 0)
    os.ftruncate(descriptor, len(here))
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return bool(stale)
