"""Log files and progress bars of jobs."""

import contextlib
import logging
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
        The rule's log file. Truncated.

    Raises
    ------
    SystemExit
        With status 1, in place of an `InputError`, whose line goes to the file and to stderr.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
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


def progress(iterable: Iterable[Item], desc: str, total: int | None, unit: str) -> Iterable[Item]:
    """Wrap an iterable in a progress bar on stderr; one line every ten seconds in a file."""
    return tqdm(
        iterable,
        desc=desc,
        total=total,
        unit=unit,
        mininterval=0.5 if sys.stderr.isatty() else 10,
        dynamic_ncols=True,
    )
