"""Images in folders and tar files: which there are, in timm's order, and what was passed over.

timm's own readers know three endings and say nothing of other files, follow a link to a parent folder
as long as the system lets them, skip folders that they may not read, and end with a traceback at a
damaged archive.
"""

import contextlib
import io
import itertools
import logging
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from PIL import Image

from neuraldeps.errors import InputError

logger = logging.getLogger(__name__)

# folders that timm takes for one another
SPLIT_FOLDERS = (("train", "training"), ("val", "valid", "validation", "eval", "evaluation"))
SPLIT_NAMES = {*itertools.chain(*SPLIT_FOLDERS), "test", "testing"}
# formats that Pillow tells from others and cannot decode everywhere
NOT_DECODED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# what systems leave in folders; names that begin with a dot are hidden anyway
LITTER = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
LITTER |= {"thumbs.db", "ehthumbs.db", "desktop.ini"}
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
}
DIGITS = re.compile(r"(\d+)")
BLOCK = tarfile.BLOCKSIZE
TAIL = 2**20  # bytes behind a tar file's end that are looked at


@dataclass
class Found:
    """Images of a folder or tar file, in timm's order.

    Attributes
    ----------
    paths : list of str
    classes : list of str
        Name of each image's innermost folder, empty where it lies in none.
    spans : list of tuple of two int
        Of a tar file: where each image's bytes begin, and how many they are.
    places : dict of str to list of str
        Folders of every class.
    passed : Counter
        How many files of which ending were passed over.
    example : str
        One of them.
    empty : dict of str to str
        Innermost folders without an image, and what is in them.
    notes : list of str
        What else the user should know.
    """

    paths: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)
    example: str = ""
    empty: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pass_over(self, path: str, ending: str) -> None:
        """Count a file that is no image by its ending."""
        self.passed[ending or "without an ending"] += 1
        self.example = self.example or path


@cache
def readable_endings() -> frozenset[str]:
    """Endings of the files that Pillow decodes, in lower case, with their dot."""
    known = Image.registered_extensions()
    return frozenset(
        ending for ending, kind in known.items() if kind in Image.OPEN and kind not in NOT_DECODED
    )


def natural_key(text: str) -> list[str | int]:
    """Sort key of timm: case aside, and numbers as numbers.

    Examples
    --------
    >>> sorted(["b10", "B9", "a"], key=natural_key)
    ['a', 'B9', 'b10']
    """
    parts = DIGITS.split(text.lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def number_classes(names: Iterable[str]) -> dict[str, int]:
    """Number class names in timm's order; names that differ in case alone, in that of characters."""
    ordered = sorted(set(names), key=lambda name: (natural_key(name), name))
    return {name: number for number, name in enumerate(ordered)}


def find_split(root: str, split: str, key: str) -> str:
    """Folder of a split as timm finds it: by its name, or by another name for the same.

    Raises
    ------
    InputError
        If there is none: timm would list everything.
    """
    if os.path.isfile(root):
        raise InputError(f"{key}.origin_split is {split!r}, but {root} is one file; remove it")
    name = split.split("[")[0]
    names = next((names for names in SPLIT_FOLDERS if name in names), (name,))
    for folder in (name, *names):
        if os.path.exists(found := os.path.join(root, folder)):
            return found
    raise InputError(
        f"{key}.origin_split is {split!r}, but {root} has no folder {' or '.join(names)}; "
        "correct it, or give the folder itself as data_dir"
    )


def check_there(spec: Mapping[str, Any], key: str, categories: str | None = None) -> None:
    """Refuse a split whose folder, tar file or tables are not there; nothing is listed.

    Parameters
    ----------
    spec : mapping
        The split's entry in the configuration.
    key : str
        Its key, for error messages.
    categories : str, optional
        `dataset.categories`, which may be a table.

    Raises
    ------
    InputError
        If a path does not exist, or has no folder of that split.
    """
    paths = {f"{key}.csv": spec.get("csv")}
    if not spec.get("origin"):
        paths[f"{key}.data_dir"] = spec.get("data_dir")
    if categories and categories.endswith(".csv"):
        paths["dataset.categories"] = categories
    for name, path in paths.items():
        if path and not os.path.exists(path):
            raise InputError(f"{name}: {path} does not exist; correct the path")
    if spec.get("origin_split") and spec.get("data_dir") and not spec.get("origin"):
        find_split(spec["data_dir"], spec["origin_split"], key)


def find_images(spec: Mapping[str, Any], key: str) -> Found:
    """List the images of a split's folder or tar file.

    Parameters
    ----------
    spec : mapping
        `data_dir` and, of a folder, `origin_split`.
    key : str
        The configuration key of the split, for error messages.

    Raises
    ------
    InputError
        If they are not there, cannot be listed, or are several splits.
    """
    check_there(spec, key)
    root, split = str(spec.get("data_dir")), spec.get("origin_split")
    root = find_split(root, split, key) if split else root
    found = list_tar(root, key) if os.path.isfile(root) else list_folder(root, key)
    if not found.paths:
        passed = f" ({counted(found.passed)})" if found.passed else ""
        raise InputError(
            f"{key}.data_dir: {root} holds no image that Pillow reads{passed}; correct the path, or "
            "convert the files"
        )
    if not split:
        check_splits(found, root, key)
    if bad := next((path for path in found.paths if not _is_utf8(path)), None):
        raise InputError(
            f"{key}.data_dir: {readable_name(bad)} is no name in UTF-8; rename it (convmv does many)"
        )
    if empty := [path for path, (_, n) in zip(found.paths, found.spans, strict=False) if n == 0]:
        raise InputError(
            f"{key}.data_dir: {root}: empty images: {len(empty)} ({empty[0]}); make it again without them"
        )
    logger.info("%s: %d images under %s", key, len(found.paths), root)
    return found


class TarImages:
    """Images in a tar file, which are read from their place.

    Parameters
    ----------
    path : str
    found : Found
        What `list_tar` found in it.
    """

    def __init__(self, path: str, found: Found) -> None:
        self.path, self._paths, self._spans = path, found.paths, found.spans

    def filenames(self) -> list[str]:
        """Names of all images, in the order of their positions."""
        return self._paths

    def open(self, position: int) -> BinaryIO:
        """Open an image's file; processes that read at the same time do not disturb each other."""
        begin, size = self._spans[position]
        with open(self.path, "rb") as file:
            file.seek(begin)
            return io.BytesIO(file.read(size))


def list_folder(root: str, key: str) -> Found:
    """List the images under a folder: each file once, whatever links lead to it.

    Parameters
    ----------
    root : str
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
            ending = _ending(entry.name)
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
            f"{key}.data_dir: links that lead nowhere: {len(dangling)} ({readable_name(min(dangling))}); "
            "bring back what they lead to, or remove them"
        )
    order = sorted(
        range(len(found.paths)), key=lambda i: (natural_key(found.paths[i]), found.paths[i])
    )
    order = _without_repeats(found, order, linked) if linked else order
    found.paths = [found.paths[i] for i in order]
    found.classes = [found.classes[i] for i in order]
    return found


def list_tar(path: str, key: str) -> Found:
    """List the images in a tar file, and in tar files in it, without reading them.

    Parameters
    ----------
    path : str
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Found
        With `spans`.

    Raises
    ------
    InputError
        If it is compressed, cut or no tar file, or a link in it leads out of it.
    """
    found = Found()
    where = f"{key}.data_dir: {path}"
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            packed = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), None)
            if packed:
                raise InputError(
                    f"{where} is compressed ({packed}), and images are read from their place; unpack it, "
                    "and give the folder or a plain tar file"
                )
            file.seek(0)
            members = list(_members(file, "", 0, where, found))
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}); correct the path") from error
    members.sort(key=lambda member: natural_key(member[0]))
    for name, label, span in members:
        found.paths.append(name)
        found.classes.append(label)
        found.spans.append(span)
    for folder, label in sorted({(os.path.dirname(name), label) for name, label, _ in members}):
        found.places.setdefault(label, []).append(folder)
    return found


def check_splits(found: Found, root: str, key: str) -> None:
    """Refuse a folder or tar file that holds several splits where none is named.

    Raises
    ------
    InputError
        If, say, a folder train and a folder val hold images of the same categories.
    """
    base = root if os.path.isdir(root) else ""
    beside: dict[str, dict[str, bool]] = {}
    for folder in itertools.chain(*found.places.values()):
        inner = os.path.relpath(folder, base) if base else os.path.normpath(folder)
        parts = inner.split(os.sep)
        for depth, name in enumerate(parts):
            if name.casefold() in SPLIT_NAMES:
                names = beside.setdefault(os.path.join(base, *parts[:depth]), {})
                names[name] = names.get(name, False) or depth + 1 < len(parts)
    for folder, names in beside.items():
        if len(names) > 1 and any(names.values()):
            known = sorted(names)
            which = " or ".join(known)
            fix = f"give {key}.origin_split: {which}"
            if folder != base:
                fix = f"give {key}.data_dir: {folder} and origin_split: {which}"
            if not base:
                fix = "make a tar file of each"
            raise InputError(f"{key}.data_dir: {folder or root} holds {' and '.join(known)}; {fix}")


def counted(passed: Mapping[str, int]) -> str:
    """Say how many files of which ending there are: ``3 .webp, 1 .txt``."""
    ordered = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{count} {ending}" for ending, count in ordered[:5])
    return text + (", ..." if len(ordered) > 5 else "")


def readable_name(path: str) -> str:
    r"""Write a path that may be no UTF-8 so that it can be printed, ``caf\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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
            if not _is_hidden(entry.name):
                (folders if _is_folder(entry) else files).append(entry)
            elif entry.is_dir(follow_symlinks=False) or _ending(entry.name) in readable_endings():
                hidden.append(entry.path)
        yield folder, files, bool(folders)
        ahead += [entry.path for entry in folders if not entry.is_symlink()]
        if further := [entry.path for entry in folders if entry.is_symlink()]:
            links = sorted([*links, *further], reverse=True)
    if hidden:
        found.notes.append(f"hidden, and passed over: {len(hidden)} ({readable_name(min(hidden))})")
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
            f"{readable_name(folder)}: the folder cannot be read ({error.strerror}); allow it, or move it "
            "away"
        ) from error


def _scan(folder: str) -> list[os.DirEntry]:
    with _reading(folder), os.scandir(folder) as entries:
        return list(entries)


def _identity(folder: str) -> tuple[int, int]:
    with _reading(folder):
        status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    """Tell names that are hidden, or a system's own; the current and the parent folder's are not."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in LITTER


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


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


def _members(
    file: IO[bytes], inside: str, offset: int, where: str, found: Found
) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Name, innermost folder and span of the images of one archive, those of archives in it first."""
    spans: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                name, target = member.name, member.linkname
                if any(_is_hidden(part) for part in name.split("/")):
                    continue
                if member.issym():
                    links[name] = os.path.normpath(os.path.join(os.path.dirname(name), target))
                elif member.islnk() and target not in spans:
                    links[name] = target
                elif member.islnk():
                    spans[name] = spans[target]
                elif member.issparse():
                    raise InputError(
                        f"{where}: {name} is stored with holes; make it again without --sparse"
                    )
                elif member.isfile() and _ending(name) == ".tar":
                    nested = cast(IO[bytes], archive.extractfile(member))
                    label = os.path.join(inside, os.path.basename(name)[: -len(".tar")])
                    begin = offset + member.offset_data
                    yield from _members(nested, label, begin, f"{where}: {name}", found)
                elif member.isfile():
                    # a file that was added again takes the place of the first, as on unpacking
                    spans.pop(name, None)
                    spans[name] = (offset + member.offset_data, member.size)
            _check_end(file, archive.offset, where, found)
    except tarfile.TarError as error:
        raise InputError(
            f"{where} is cut, damaged or no tar file ({error}); make it again"
        ) from error
    _check_links(links, spans, where, found)
    for name, span in spans.items():
        if _ending(name) in readable_endings():
            folder = os.path.basename(os.path.normpath(os.path.join(inside, os.path.dirname(name))))
            yield name, "" if folder == "." else folder, span
        else:
            found.pass_over(name, _ending(name))


def _check_links(
    links: Mapping[str, str], spans: Mapping[str, tuple[int, int]], where: str, found: Found
) -> None:
    """Refuse links to what is not in the archive; the others lead to what is listed anyway."""
    if not links:
        return
    known = {os.path.normpath(name) for name in spans}
    for name in list(known):
        while (name := os.path.dirname(name)) and name not in known:
            known.add(name)
    lost = [name for name, target in links.items() if target not in known]
    if lost:
        raise InputError(
            f"{where}: links that lead out of it: {len(lost)} ({lost[0]}); make it again with "
            "tar --dereference"
        )
    found.notes.append(
        f"links in it to what is listed anyway, left out: {len(links)} ({min(links)})"
    )


def _check_end(file: IO[bytes], offset: int, where: str, found: Found) -> None:
    """Tell an archive's end from a place where it was cut, damaged or another was appended."""
    file.seek(offset)
    block = file.read(BLOCK)
    if not block:
        found.notes.append("the tar file has no mark of its end: it may be cut")
    elif any(block):
        raise tarfile.ReadError(f"no member begins at byte {offset}")
    elif any(file.read(TAIL)):
        raise InputError(
            f"{where} goes on after its end, as where tar files were put one after another; unpack them, "
            "and give the folder or one tar file"
        )


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
