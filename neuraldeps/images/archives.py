"""Images in tar files, listed and read without unpacking."""

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from typing import IO, BinaryIO, cast

from neuraldeps.errors import InputError
from neuraldeps.images.found import (
    PACKED,
    Found,
    ending_of,
    is_hidden,
    natural_key,
    readable_endings,
)

BLOCK = tarfile.BLOCKSIZE
TAIL = 2**20  # bytes behind a tar file's end that are looked at


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
        """Names of all images, in the order of their positions.

        Returns
        -------
        list of str
            Paths within the tar file.
        """
        return self._paths

    def open(self, position: int) -> BinaryIO:
        """Open an image's file; processes that read at the same time do not disturb each other.

        Parameters
        ----------
        position : int
            Of the image.

        Returns
        -------
        file
            Its bytes.
        """
        begin, size = self._spans[position]
        with open(self.path, "rb") as file:
            file.seek(begin)
            return io.BytesIO(file.read(size))


def list_tar(path: str, key: str) -> Found:
    """List the images in a tar file, and in tar files in it, without reading them.

    Parameters
    ----------
    path : str
        The tar file.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Found
        With `spans`.

    Raises
    ------
    InputError
        If it is compressed, truncated or not a tar file, or a link in it points outside it.
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
                if any(is_hidden(part) for part in name.split("/")):
                    continue
                if member.issym():
                    links[name] = os.path.normpath(os.path.join(os.path.dirname(name), target))
                elif member.islnk() and target not in spans:
                    links[name] = target
                elif member.islnk():
                    spans[name] = spans[target]
                elif member.issparse():
                    raise InputError(
                        f"{where}: {name} is stored as a sparse file; make the archive again without --sparse"
                    )
                elif member.isfile() and ending_of(name) == ".tar":
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
            f"{where} is truncated, damaged or not a tar file ({error}); make it again"
        ) from error
    _check_links(links, spans, where, found)
    for name, span in spans.items():
        if ending_of(name) in readable_endings():
            folder = os.path.basename(os.path.normpath(os.path.join(inside, os.path.dirname(name))))
            yield name, "" if folder == "." else folder, span
        else:
            found.pass_over(name, ending_of(name))


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
            f"{where}: links that point outside it: {len(lost)} ({lost[0]}); make it again with "
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
        found.notes.append("the tar file has no end-of-archive mark: it may be truncated")
    elif any(block):
        raise tarfile.ReadError(f"no member begins at byte {offset}")
    elif any(file.read(TAIL)):
        raise InputError(
            f"{where} continues after its end, as if tar files had been concatenated; unpack them, "
            "and give the folder or one tar file"
        )
