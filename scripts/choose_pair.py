"""Choose the pair of categories whose dependency is cut off."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.robustness.pair import choose_pair
from neuraldeps.stores import aside, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    paths: str,
    bitmaps: str | None,
    pair: str,
    *,
    model: str,
    wanted: Sequence[str] | None,
    support_size: int,
    shape_quantile: float,
) -> None:
    chosen = choose_pair(
        open_store(paths),
        open_store(bitmaps)["bitmap"].values if bitmaps else None,
        wanted,
        support_size=support_size,
        shape_quantile=shape_quantile,
        key=f"robustness.category_pair.{model}",
    )
    text = json.dumps({"model": model, **chosen.as_dict()}, indent=1, ensure_ascii=False)
    with aside(pair) as path:
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.paths,
            snakemake.input.get("bitmaps") or None,
            snakemake.output.pair,
            model=snakemake.wildcards.model,
            wanted=snakemake.params.wanted,
            support_size=snakemake.params.support_size,
            shape_quantile=snakemake.params.shape_quantile,
        )
