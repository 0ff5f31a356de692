"""Keep small stores of a release, one of every layout, for every later release to open: a step of each release.

    python tools/keep_stores.py FOLDER

takes the smallest of each from a finished run of ``tests/workflow/tiny.yaml`` in FOLDER and writes
``tests/old_stores/{version}.zip``.
"""

import json
import sys
import zipfile
from pathlib import Path

from neuraldeps import __version__
from neuraldeps.stores.layouts import layout_of
from neuraldeps.stores.provenance import NOT_OURS

KEPT = Path(__file__).parents[1] / "tests/old_stores"


def smallest_of_each(folder: Path) -> list[Path]:
    """Choose a store of each layout that a run has."""
    chosen: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.glob("results/**/*.zarr")):
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"]
        layout = layout_of(str(path.relative_to(folder)), attributes["made_by"])
        if layout is None:
            raise SystemExit(f"{path}: has no declared layout")
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        kind = f"{layout.path} by {attributes['made_by']}"
        chosen[kind] = min(chosen.get(kind, (size, path)), (size, path))
    return [path for _, path in chosen.values()]


def keep(folder: Path, archive: Path) -> None:
    """Write the same bytes for the same stores."""
    archive.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(archive, "w") as kept:
        for store in smallest_of_each(folder):
            for file in sorted(store.rglob("*")):
                if file.is_file() and file.name not in NOT_OURS:
                    name = zipfile.ZipInfo(str(file.relative_to(folder)))
                    kept.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), KEPT / f"{__version__}.zip")
