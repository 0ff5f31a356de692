"""Images in folders, each listed once whatever links lead to it."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from neuraldeps.errors import InputError
from neuraldeps.images.found import (
    Found,
    counted,
    ending_of,
    is_hidden,
    natural_key,
    readable_endings,
    readable_name,
)


def list_folder(root: str, key: str) -> Found:
    """List the images under a folder: each file once, whatever links lead to it.

    Parameters
    ----------
    root : str
        The folder.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If a folder cannot be read, or a link leads nowhere.
    """
    found, linked, dangling = Found(), set(), []
    for folder, entries, has_folders in _walk(root, found):
        name = "" if folder == root else os.path.basename(folder)
        n_before, passed = len(found.paths), Counter[str]()
        for entry in entries:
            ending = ending_of(entry.name)
            if entry.is_symlink() and not os.path.exists(entry.path):
                dangling.append(entry.path)
            elif ending not in readable_endings():
                found.pass_over(entry.path, ending)
                passed[ending or "without an ending"] += 1
            else:
                found.paths.append(entry.path)
                found.classes.append(name)
                if entry.is_symlink():
                    linked.add(entry.path)
        if len(found.paths) > n_before:
            found.places.setdefault(name, []).append(folder)
        elif not has_folders:
            found.empty[folder] = counted(passed) or "nothing"
    if dangling:
        raise InputError(
            f"{key}.data_dir: broken links: {len(dangling)} ({readable_name(min(dangling))}); "
            "restore their targets, or remove them"
        )
    order = sorted(
        range(len(found.paths)), key=lambda i: (natural_key(found.paths[i]), found.paths[i])
    )
    order = _without_repeats(found, order, linked) if linked else order
    found.paths = [found.paths[i] for i in order]
    found.classes = [found.classes[i] for i in order]
    return found


def _walk(root: str, found: Found) -> Iterator[tuple[str, list[os.DirEntry], bool]]:
    """Every folder once, real ones before links to further ones, with its files."""
    # a link to a folder above would list what is beside the images
    seen = {_identity(str(folder)) for folder in Path(os.path.realpath(root)).parents}
    ahead, links = [root], list[str]()
    repeats, hidden = list[str](), list[str]()
    while ahead or links:
        folder = ahead.pop() if ahead else links.pop()
        identity = _identity(folder)
        if identity in seen:
            repeats.append(folder)
            continue
        seen.add(identity)
        files, folders = list[os.DirEntry](), list[os.DirEntry]()
        for entry in _scan(folder):
            if not is_hidden(entry.name):
                (folders if _is_folder(entry) else files).append(entry)
            elif entry.is_dir(follow_symlinks=False) or ending_of(entry.name) in readable_endings():
                hidden.append(entry.path)
        yield folder, files, bool(folders)
        ahead += [entry.path for entry in folders if not entry.is_symlink()]
        if further := [entry.path for entry in folders if entry.is_symlink()]:
            links = sorted([*links, *further], reverse=True)
    if hidden:
        found.notes.append(f"hidden, skipped: {len(hidden)} ({readable_name(min(hidden))})")
    if repeats:
        found.notes.append(
            f"links to folders that are listed anyway, not followed: {len(repeats)} "
            f"({readable_name(min(repeats))})"
        )


@contextlib.contextmanager
def _reading(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{readable_name(folder)}: the folder cannot be read ({error.strerror}); make it readable, or move it "
            "elsewhere"
        ) from error


def _scan(folder: str) -> list[os.DirEntry]:
    with _reading(folder), os.scandir(folder) as entries:
        return list(entries)


def _identity(folder: str) -> tuple[int, int]:
    with _reading(folder):
        status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _without_repeats(found: Found, order: list[int], linked: set[str]) -> list[int]:
    """Leave out links to files that are listed anyway."""
    folders: dict[str, str] = {}

    def real(path: str) -> str:
        if path in linked:
            return os.path.realpath(path)
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        return os.path.join(folders[folder], name)

    # files themselves before links to them
    taken: dict[str, int] = {}
    for i in sorted(order, key=lambda i: found.paths[i] in linked):
        taken.setdefault(real(found.paths[i]), i)
    kept = set(taken.values())
    repeats = [found.paths[i] for i in order if i not in kept]
    if repeats:
        found.notes.append(
            f"links to images that are listed anyway, left out: {len(repeats)} "
            f"({readable_name(repeats[0])})"
        )
    return [i for i in order if i in kept]
