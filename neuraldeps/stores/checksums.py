"""Checksums of a published store: every file's size and SHA-256, in a list that is checked before any number is read.

The list is the last file that is written before a store gets its name. Opening a store compares
the list's own checksum, its version, every size and all metadata; a file is compared with its checksum before its
first byte is used. No CRC-32C, which Zarr's chunks end with: of anything followed by its own CRC that
is one and the same number.
"""

import asyncio
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from neuraldeps.errors import StoreError
from neuraldeps.stores.provenance import NOT_OURS, file_digest
from neuraldeps.stores.publish import beside, make_folder, move

# raised whenever stores of before can no longer be read as they are
STORE_VERSION = 1
LIST = ".checksums.json"
Files = Mapping[str, Sequence[Any]]  # size and SHA-256 by name
Stamp = tuple[int, ...]
Key = TypeVar("Key")
Value = TypeVar("Value")
_computed: dict[str, tuple[Stamp, str]] = {}


def again(path: str | os.PathLike) -> str:
    """What makes one store again, as errors end.

    Parameters
    ----------
    path : path
        The store.

    Returns
    -------
    str
        A phrase with a command.

    Examples
    --------
    >>> again("results/a.zarr")
    'remove it and run again: rm -r results/a.zarr && snakemake results/a.zarr'
    """
    name = shlex.quote(os.fspath(path))
    return f"remove it and run again: rm -r {name} && snakemake {name}"


def stamp(path: Path) -> Stamp:
    """What changes whenever a file is written or replaced.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of int
        Its inode, size, and times of modification and of change in nanoseconds.

    Raises
    ------
    OSError
        If there is no such file.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def once(
    made: dict[Key, tuple[Stamp, Value]], key: Key, file: Path, make: Callable[[], Value]
) -> Value:
    """What was made of a file: again only when the file has changed.

    Parameters
    ----------
    made : dict
        What was made before, with the file's stamp then.
    key : hashable
        Of what is made.
    file : Path
        What it depends on.
    make : callable
        Makes it.

    Returns
    -------
    Any
        What `make` gave.

    Raises
    ------
    OSError
        If there is no such file.
    """
    now, known = stamp(file), made.get(key)
    if known is None or known[0] != now:
        known = made[key] = now, make()
    return known[1]


def digest(path: Path) -> str:
    """SHA-256 of a file; of one that has not changed, once in a process.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return once(_computed, str(path.absolute()), path, lambda: file_digest(path))


def files_of(path: Path) -> dict[str, Path]:
    """Files of a store, by their names in it, sorted; neither the list itself nor what is Snakemake's.

    Parameters
    ----------
    path : Path
        The store.

    Returns
    -------
    dict of str to Path
        All of them.
    """
    found = {
        str(file.relative_to(path)): file
        for file in path.rglob("*")
        if file.is_file() and file.name not in NOT_OURS
    }
    found.pop(LIST, None)
    return dict(sorted(found.items()))


def write_checksums(path: Path) -> None:
    """Write the list of a store that is whole.

    Parameters
    ----------
    path : Path
        The store, before it gets its name.
    """
    files = {name: (file.stat().st_size, digest(file)) for name, file in files_of(path).items()}
    _write_whole(path, LIST, _document(files, STORE_VERSION))


def _write_whole(store: Path, name: str, content: Any) -> None:
    """Write or replace a file of a store at once, unless the store has got its name meanwhile.

    It is made beside the store, not in it: whatever a killed job leaves is never published with it,
    and two jobs may write the same one.
    """
    with beside(store.with_name(f"{store.name}-{name.replace('/', '-')}".lstrip("."))) as work:
        work.write_bytes(content)
        folder = (store / name).parent
        if folder != store:  # which is never made again: the other job may have published it
            make_folder(folder)
        move(work, store / name)


def _document(files: Files, version: Any) -> bytes:
    """The only way to write a list: whatever differs from it is damaged."""
    content = {"files": files, "store_version": version}
    checksum = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return (json.dumps({"sha256": checksum} | content, indent=0) + "\n").encode()


def read_checksums(path: Path) -> Files | None:
    """Read the list of a store, and compare it with itself, its version and the sizes of the files.

    Parameters
    ----------
    path : Path
        The store.

    Returns
    -------
    mapping, or None
        Size and SHA-256 by name; None for a store that is not of this project.

    Raises
    ------
    StoreError
        If the list is damaged or of another version, or a file is missing or of another size.
    """
    try:
        raw = (path / LIST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if _is_ours(path):
            raise StoreError(
                f"{path}: has no {LIST}, so an older version made it or it is damaged; {again(path)}"
            ) from None
        return None
    try:
        found = json.loads(raw)
        files, version = found["files"], found["store_version"]
        is_whole = _document(files, version) == raw
    except (ValueError, TypeError, KeyError):
        is_whole = False
    if not is_whole:
        raise StoreError(f"{path}: {LIST} is damaged; {again(path)}")
    if version != STORE_VERSION:
        raise StoreError(
            f"{path}: is a store of version {version}, and this program reads {STORE_VERSION}; {again(path)}"
        )
    for name, (size, _) in files.items():
        _check_size(path, name, size)
        if name.endswith("zarr.json"):  # what everything else is read by
            check_file(path, name, files)
    return files


def _is_ours(path: Path) -> bool:
    """Whether a store without a list says that this project made it."""
    try:
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"]
        return "fingerprint" in attributes and "made_by" in attributes
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_size(path: Path, name: str, size: int) -> None:
    try:
        there = (path / name).stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path}: {name} is missing; {again(path)}") from None
    if there != size:
        raise StoreError(f"{path}: {name} has {there} bytes in place of {size}; {again(path)}")


def check_file(path: Path, name: str, files: Files) -> None:
    """Compare a file of a store with its checksum.

    Parameters
    ----------
    path : Path
        The store.
    name : str
        Of the file in it.
    files : mapping
        The store's list.

    Raises
    ------
    StoreError
        If the file is missing, of another size, or its checksum does not match.
    """
    size, checksum = files[name]
    _check_size(path, name, size)
    if digest(path / name) != checksum:
        raise StoreError(f"{path}: the checksum of {name} does not match; {again(path)}")


class CheckedStore(LocalStore):
    """A store to read, of which no byte is handed on before its file was compared with the list.

    Parameters
    ----------
    root : path
        The store.
    read_only : bool
        Always so.
    files : mapping, optional
        Its list, if that was read before.
    """

    def __init__(
        self, root: Path | str, *, read_only: bool = True, files: Files | None = None
    ) -> None:
        super().__init__(Path(root), read_only=True)
        self._files = read_checksums(self.root) if files is None else files

    def with_read_only(self, read_only: bool = True) -> "CheckedStore":
        """The same, read-only.

        Parameters
        ----------
        read_only : bool
            Whatever is asked for.

        Returns
        -------
        CheckedStore
            With the same list.
        """
        return type(self)(self.root, files=self._files)

    def check(self, name: str) -> bool:
        """Compare a file with its checksum.

        Parameters
        ----------
        name : str
            Of a file of the store.

        Returns
        -------
        bool
            Whether the list has it; what the list does not have is no part of the store.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        if self._files is None:
            return True  # not of this project: nothing is known
        if name not in self._files:
            return False
        check_file(self.root, name, self._files)
        return True

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read a file or a part of it; see `LocalStore`."""
        is_there = await asyncio.to_thread(self.check, key)
        return await super().get(key, prototype, byte_range) if is_there else None

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read a file or a part of it.

        Parameters
        ----------
        key : str
            Its name in the store.
        prototype, byte_range : optional
            See `LocalStore`.

        Returns
        -------
        Buffer, optional
            Nothing where the store has no such file.
        """
        is_there = self.check(key)
        return (
            super().get_sync(key, prototype=prototype, byte_range=byte_range) if is_there else None
        )

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read parts of files; see `LocalStore`."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]


class DurableStore(LocalStore):
    """A store to write, each of whose files is whole or not there, whatever happens."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file.

        Parameters
        ----------
        key : str
            Its name in the store.
        value : Buffer
            Its bytes.
        """
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file.

        Parameters
        ----------
        key : str
            Its name in the store.
        value : Buffer
            Its bytes.
        """
        _write_whole(self.root, key, value.as_buffer_like())
