"""A run described for archives: an RO-Crate of all stores and files, from the stores' own attributes."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zarr
from rocrate.model.contextentity import ContextEntity
from rocrate.model.dataset import Dataset
from rocrate.model.entity import Entity
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from neuraldeps import __version__

NAME = "ro-crate-metadata.json"
ZARR = "application/vnd.zarr; version=3"
FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "text/x-tex",
}
PAPER = "https://arxiv.org/abs/2211.12339"


def write_crate(results: str, about: str) -> str:
    """Describe what a run left: every store, what made it and from what, and the files beside them.

    Parameters
    ----------
    results : str
        Folder of the run's results, which is the crate's root.
    about : str
        What was run, in a sentence.

    Returns
    -------
    str
        Text of ``ro-crate-metadata.json``. Of the same files it is the same text: its date is the
        day on which the last of them was written.

    References
    ----------
    RO-Crate, https://w3id.org/ro/crate.
    """
    root, crate = Path(results), ROCrate()
    names = sorted(str(path.relative_to(root)) for path in _contents(root))
    stores: dict[str, dict[str, Any]] = {
        name: zarr.open_group(root / name, mode="r").attrs.asdict()
        for name in names
        if name.endswith(".zarr")
    }
    crate.name = "Neural dependencies: results of a run"
    crate.description = about
    crate.license = "No license is stated: ask who made these results."
    crate.datePublished = _last_day([root / name for name in names])
    workflow = _add(
        crate,
        "#neural-dependencies",
        ["SoftwareSourceCode", "ComputationalWorkflow"],
        name="neural-dependencies",
        version=__version__,
        programmingLanguage="Snakemake",
        citation={"@id": PAPER},
    )
    _add(
        crate,
        PAPER,
        "ScholarlyArticle",
        name="Neural Dependencies Emerging from Learning Massive Categories",
    )
    crate.mainEntity = workflow
    entities = {
        name: crate.add(
            Dataset(
                crate,
                dest_path=name,
                properties={
                    "name": attrs["title"],
                    "encodingFormat": ZARR,
                    "identifier": attrs["fingerprint"],
                },
            )
        )
        for name, attrs in stores.items()
    }
    made = {attrs["fingerprint"]: entities[name] for name, attrs in stores.items()}
    for name, attrs in stores.items():
        _add_action(crate, workflow, name, attrs, made)["result"] = entities[name]
    for name in sorted({*names} - {*stores}):
        encoding = FORMATS.get(Path(name).suffix, "application/octet-stream")
        properties = {"name": name, "encodingFormat": encoding}
        crate.add(File(crate, dest_path=name, properties=properties))
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def _add(crate: ROCrate, name_in_crate: str, kind: str | list[str], **properties: Any) -> Entity:
    """An entity that is no file, once."""
    known = crate.dereference(name_in_crate)
    return known or crate.add(
        ContextEntity(crate, name_in_crate, properties={"@type": kind, **properties})
    )


def _add_action(
    crate: ROCrate,
    workflow: Entity,
    name: str,
    attrs: Mapping[str, Any],
    made: Mapping[str, Entity],
) -> Entity:
    """What made a store: the rule, what it was given, its configuration, seed and versions."""
    rule = _add(
        crate,
        f"#{attrs['made_by']}",
        "HowToStep",
        name=attrs["made_by"],
        isPartOf={"@id": workflow.id},
    )
    given = [
        made.get(fingerprint)
        or _add(crate, f"#{fingerprint}", "CreativeWork", name=role, identifier=fingerprint)
        for role, fingerprint in attrs["sources"].items()
    ]
    settings = {"config": attrs["config"]} | ({"seed": attrs["seed"]} if "seed" in attrs else {})
    given += [
        _add(
            crate,
            f"#{key}/{name}",
            "PropertyValue",
            name=key,
            value=value if isinstance(value, int) else json.dumps(value, sort_keys=True),
        )
        for key, value in settings.items()
    ]
    tools = [
        _add(crate, f"#{tool}-{version}", "SoftwareApplication", name=tool, version=version)
        for tool, version in attrs["versions"].items()
    ]
    action = _add(
        crate, f"#made/{name}", "CreateAction", name=f"{attrs['made_by']}: {attrs['title']}"
    )
    action["instrument"] = [rule, *tools]
    action["object"] = list({one.id: one for one in given}.values())
    return action


def _contents(root: Path) -> Iterator[Path]:
    """Stores, and files outside of them, below a folder; neither work in progress nor the crate."""
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(folder, name) for name in below if name.endswith(".zarr"))
        below[:] = [name for name in below if not name.endswith(".zarr")]
        shown = [name for name in files if not name.startswith(".") and name != NAME]
        yield from (Path(folder, name) for name in shown)


def _last_day(paths: Sequence[Path]) -> str:
    """The day, in UTC, on which the last of some files was written."""
    last = max((path.stat().st_mtime for path in paths), default=0.0)
    return datetime.fromtimestamp(last, UTC).date().isoformat()
