"""Whether a store is what its name says: of its kind, of its networks, made from what is there now."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from neuraldeps.errors import StoreError
from neuraldeps.stores.checksums import again
from neuraldeps.stores.layouts import LAYOUTS, layout_of

# sources that are no stores of the run
FOREIGN = {"weights", "listing"}
# rules that read the user's files, or logits that the workflow removes when they are used
SOURCES_ELSEWHERE = {"import_logits", "measure_robustness"}


def check_place(path: Path, attributes: Mapping[str, Any]) -> None:
    """Refuse a store that lies under the name of another one.

    Parameters
    ----------
    path : Path
        The store.
    attributes : mapping
        Its own.

    Raises
    ------
    StoreError
        If a run has stores of another kind, or of other networks, at this path.
    """
    parts = path.absolute().parts
    if "results" not in parts or "made_by" not in attributes:
        return
    start = len(parts) - 1 - parts[::-1].index("results")
    name = re.sub(r"\.part\d+\.zarr$", ".zarr", "/".join(parts[start:]))
    if not any(layout.matches(name) for layout in LAYOUTS.values()):
        return
    made_by = attributes["made_by"]
    if layout_of(name, made_by) is None:
        raise StoreError(
            f"{path}: is a store that {made_by} makes, under the name of another one; {again(path)}"
        )
    ends = [str(attributes[end]) for end in ("source", "target") if end in attributes]
    stem = Path(name).stem
    if "--" in stem and ends and stem not in ("--".join(ends), "--".join(ends[::-1])):
        raise StoreError(f"{path}: is the store of {' and '.join(ends)}; {again(path)}")


def check_sources(path: Path, attributes: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a store that was made from a store which is no longer there.

    Parameters
    ----------
    path : Path
        The store.
    attributes : mapping
        Its own.
    known : collection of str
        Fingerprints of all stores of the run.

    Raises
    ------
    StoreError
        If one of its sources is missing among them.
    """
    if attributes.get("made_by") in SOURCES_ELSEWHERE:
        return
    for role, source in attributes.get("sources", {}).items():
        if role not in FOREIGN and source not in known:
            raise StoreError(
                f"{path}: was made from another store than what stands for its {role} now; {again(path)}"
            )
