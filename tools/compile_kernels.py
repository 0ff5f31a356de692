"""Compile what the solvers and the evaluation are made of, once, before jobs side by side each do.

Numba compiles a function when it is first called and keeps the code beside the source: a minute and a
half on one core, which every job that starts before that would spend as well.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from neuraldeps.dependencies.best_subset import gather_best_subset, solve_best_subset
from neuraldeps.dependencies.covlasso import gather_covlasso, solve_covlasso
from neuraldeps.dependencies.evaluation import evaluate_dependencies
from neuraldeps.moments import reduce_second_moment
from neuraldeps.stores import provenance, write_store

N, IMAGES = 12, 200


def main() -> None:
    """Solve and judge a little problem, within a network and between two, from stores as jobs do."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for seed, name in enumerate("fg"):
            logits = np.random.default_rng(seed).standard_normal((IMAGES, N)).astype(np.float32)
            store = xr.Dataset(
                {"logits": (("sample", "category"), logits)},
                {
                    "category": np.arange(N, dtype=np.int32),
                    "label": ("sample", np.arange(IMAGES, dtype=np.int32) % N),
                },
                provenance("compile_kernels", name),
            )
            paths[name] = str(Path(folder) / f"{name}.zarr")
            write_store(store, paths[name])
        for one, other in ("ff", "fg", "gg"):
            paths[one + other] = str(Path(folder) / f"{one}--{other}.zarr")
            moments = reduce_second_moment(paths[one], paths[other], "none", (one, other))
            write_store(moments, paths[one + other], contiguous=["second_moment"])
        for source, target in ("ff", "fg"):
            _solve(Path(folder), paths, source, target)


def _solve(folder: Path, paths: dict[str, str], source: str, target: str) -> None:
    given = (paths[source * 2], paths[target * 2], paths[source + target], (source, target))
    shared = {"batch": 0, "batches": 1, "max_support": 4, "exclude_own": True}
    solved = solve_covlasso(*given, **shared, alpha=[0.01], relative_alpha=[0.1])
    found = solve_best_subset(*given, **shared, width=1, proven_size=None)
    stores = {}
    for name, part, gather in (
        ("paths", solved, gather_covlasso),
        ("subsets", found, gather_best_subset),
    ):
        stores[name] = str(folder / f"{name}.{source}{target}.zarr")
        write_store(part, f"{stores[name]}.part")
        write_store(gather([f"{stores[name]}.part"]), stores[name])
    evaluate_dependencies(
        stores["paths"],
        stores["subsets"],
        paths[source * 2],
        paths[source + target],
        {"fit": (paths[source], paths[target])},
        dataset="logits",
    )


if __name__ == "__main__":
    main()
