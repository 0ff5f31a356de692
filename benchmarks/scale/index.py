"""Time and memory of indexing a table of many images, as the rule `index_images` does it.

    python benchmarks/scale/index.py --images 1000000 --categories 1000

makes as many names of small files, since a table is refused where a file is missing or empty.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from scripts.index_images import main as index_images  # noqa: E402


def main() -> None:
    """Write seconds, peak memory and size of the index to stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--categories", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        codes = [f"n{number:08}" for number in range(given.categories)]
        Path("categories.csv").write_text(
            "code,name\n" + "".join(f"{code},category {code}\n" for code in codes)
        )
        with open("images.csv", "w") as table:
            table.write("path,label\n")
            for code in codes:
                os.makedirs(f"train/{code}")
                Path("image").write_text(code)
                for number in range(given.images // given.categories):
                    path = f"train/{code}/{code}_{number}.JPEG"
                    os.link("image", path)
                    table.write(f"{path},{code}\n")
                os.remove("image")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        index_images(
            "index.zarr",
            None,
            split="fit",
            spec={"csv": "images.csv", "labels": True, "n_views": 1},
            categories="categories.csv",
            n_categories=given.categories,
            folders_name_categories=False,
            seed=0,
        )
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = sum(file.stat().st_size for file in Path("index.zarr").rglob("*") if file.is_file())
        print(
            f"{given.images} images: {seconds:.1f} s, {peak / 1e6:.2f} GB in all, "
            f"{before / 1e6:.2f} GB of it before; {size / 1e6:.1f} MB on the disk"
        )


if __name__ == "__main__":
    main()
