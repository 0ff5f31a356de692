"""The one way in which anything is published: written beside its name, synced, renamed, and the folder synced.

A rename alone is not enough: after a power cut most file systems may keep the name and lose what it
names. Files are synced before the rename and folders after it, in the order that POSIX promises to keep.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# fsync waits for the disk; several at once share its commits
SYNCS = 8
_durable: set[str] = set()  # folders whose own names are on the disk, as far as this process knows


def sync(path: str | os.PathLike) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk.

    Parameters
    ----------
    path : path
        The file or folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems sync files, and no folders
            raise
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Wait until all that lies at a path is on the disk, but for its own name.

    Parameters
    ----------
    path : Path
        A file, or a folder with all that is below it.
    """
    folders = [Path(folder) for folder, _, _ in os.walk(path)]
    files = [file for folder in folders for file in folder.iterdir() if file.is_file()]
    everything: Iterable[Path] = [*files, *folders] or [path]
    with ThreadPoolExecutor(SYNCS) as pool:
        list(pool.map(sync, everything))


def make_folder(path: Path) -> None:
    """Make a folder and its parents, so that none of their names is lost.

    Parameters
    ----------
    path : Path
        The folder.
    """
    path.mkdir(parents=True, exist_ok=True)
    here = Path.cwd()
    # what this run may have made: all that is below the folder in which it runs, else one parent
    named = [path, *path.parents] if path.resolve().is_relative_to(here) else [path]
    for folder in named:
        if folder.resolve() == here:
            break
        if str(folder.resolve()) not in _durable:
            sync(folder.parent)
            _durable.add(str(folder.resolve()))


def move(work: Path, path: Path) -> None:
    """Give what is whole its name in a folder that is there, on the disk when this returns.

    Parameters
    ----------
    work : Path
        A file or folder on the same file system.
    path : Path
        Its name. A file that stands there is replaced, a folder is not.

    Raises
    ------
    OSError
        If there is no such folder, or a folder with something in it stands there.
    """
    sync_tree(work)
    os.rename(work, path)
    sync(path.parent)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place next to `path` to make a file or folder at, and clear away what is left of it.

    What jobs of this machine left in that folder is cleared away first, if they are no more: the
    lock on their work ended with them.

    Parameters
    ----------
    path : Path
        Where it is going to be; parents are made.

    Yields
    ------
    Path
        Of the same name, in a hidden folder of its own.
    """
    make_folder(path.parent)
    sweep(path.parent)
    while True:
        work = path.parent / f".{path.name}.{_node()}{uuid.uuid4().hex[8:]}.partial"
        work.mkdir()
        try:
            descriptor = os.open(work, os.O_RDONLY)
        except FileNotFoundError:  # swept by another job before it was opened
            continue
        with contextlib.suppress(OSError):  # a file system without locks: nobody sweeps there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if work.exists():  # else swept before it was locked
            break
        os.close(descriptor)
    try:
        yield work / path.name
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what jobs of this machine that are no more left in a folder.

    Parameters
    ----------
    folder : Path
        In which they published.
    """
    of_node = re.compile(rf"\..+\.{_node()}[0-9a-f]{{24}}\.partial")
    for left in folder.iterdir():
        if not of_node.fullmatch(left.name):
            continue
        with contextlib.suppress(OSError):  # locked by a job that lives, or swept by another
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)


def _node() -> str:
    """Name this machine in eight digits: some file systems of clusters keep locks to themselves."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@contextlib.contextmanager
def aside(path: str | os.PathLike) -> Iterator[Path]:
    """Give a path next to `path` to write a file to, and move it there when it is whole.

    Parameters
    ----------
    path : path
        Declared path; parents are made.

    Yields
    ------
    Path
        Where to write; of the same name, in a hidden folder.
    """
    path = Path(path)
    with beside(path) as work:
        yield work
        move(work, path)
