"""Log files and progress bars of jobs."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from neuraldeps.errors import InputError

Item = TypeVar("Item")


@contextlib.contextmanager
def job_log(path: str) -> Iterator[None]:
    """Send log records to a file; end the job with one line where the user's input is at fault.

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
        With status 1, in place of an `InputError`, whose line goes to the file and to stderr.
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
    except InputError as error:
        logging.error("%s", error)
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception:
        logging.exception("the job failed")
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


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
