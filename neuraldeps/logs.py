"""Log files and progress bars of jobs."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from neuraldeps.errors import InputError

Item = TypeVar("Item")
# what a machine refuses, and what the user does about it
REFUSALS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or raise the quota",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "change its permissions",
}


@contextlib.contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send log records to a file; end the job with one line where the user can put it right.

    Parameters
    ----------
    path : str
        The rule's log file. Begun anew.

    Yields
    ------
    None
        While the job runs.

    Raises
    ------
    SystemExit
        With status 1, in place of an `InputError` or of an `OSError` for want of room or rights,
        whose line goes to the file and to stderr.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # further processes of a distributed training share the file that the first one began
    mode = "w" if os.environ.get("LOCAL_RANK", "0") == "0" else "a"
    handler = logging.FileHandler(path, mode=mode)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    except Exception as error:
        line = _line_of(error)
        if line is None:
            logging.exception("the job failed")
            raise
        logging.error("%s", line)
        print(f"Error: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        root.removeHandler(handler)
        handler.close()


def _line_of(error: Exception) -> str | None:
    """What the user can do about it, if anything."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno in REFUSALS:
        return (
            f"{error.filename or 'results/'}: {error.strerror}; {REFUSALS[error.errno]}, "
            "then give the same command again: it goes on from here"
        )
    return None


def progress(iterable: Iterable[Item] | None, desc: str, total: int | None, unit: str) -> tqdm:
    """Progress bar on stderr around an iterable, or to be updated; every ten seconds in a file.

    Parameters
    ----------
    iterable : iterable, optional
        What is gone through.
    desc : str
        What is done.
    total : int, optional
        How many steps, where the iterable does not tell.
    unit : str
        Of a step.

    Returns
    -------
    tqdm
        The iterable with a bar around it.
    """
    return tqdm(
        iterable,
        desc=desc,
        total=total,
        unit=unit,
        unit_scale=True,
        mininterval=0.5 if sys.stderr.isatty() else 10,
        delay=1,  # no bar for what is done at once
        dynamic_ncols=True,
    )
