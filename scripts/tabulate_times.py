"""Gather what trainings and the learning of new categories took, in total and per pass over images."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    baseline: Sequence[str],
    base: Sequence[str],
    extraction: Sequence[str],
    learning: Sequence[str],
    times: str,
    *,
    epochs: Mapping[str, int],
) -> None:
    rows = [*_trainings(baseline, epochs), *_trainings(base, epochs), *_extractions(extraction)]
    for path in learning:
        model, setting, seed = Path(path).parts[-4:-1]
        what = {"model": model, "setting": setting, "seed": seed}
        for row in pd.read_csv(path).itertuples():
            step = {"step": f"learn W, {row.variant}", "passes": row.passes, "cpu_s": row.seconds}
            rows.append(what | step)
    columns = ["model", "setting", "seed", "step", "passes", "cpu_s", "wall_s"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["cpu_s_per_pass"] = (frame["cpu_s"] / frame["passes"]).round(3)
    Path(times).parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(times, index=False)


def existing(paths: Sequence[str]) -> list[str]:
    """Paths of the log files that still stand; the others' times are left out."""
    return [path for path in paths if Path(path).exists()]


def _trainings(paths: Sequence[str], epochs: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, *which = Path(path).with_suffix("").parts[Path(path).parts.index("benchmarks") + 2 :]
        setting, seed = which or ("baseline", None)
        what = {"model": model, "setting": setting, "seed": seed, "step": "train network"}
        yield what | {"passes": epochs[model], **_seconds(path)}


def _extractions(paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, setting, seed = Path(path).parts[-4:-1]
        what = {"model": model, "setting": setting, "seed": seed, "step": "extract logits"}
        yield what | {"passes": 1, **_seconds(path)}


def _seconds(path: str) -> dict[str, float]:
    benchmark = pd.read_csv(path, sep="\t")
    return {"cpu_s": float(benchmark["cpu_time"].iloc[0]), "wall_s": float(benchmark["s"].iloc[0])}


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            existing(snakemake.params.baseline),
            existing(snakemake.params.base),
            existing(snakemake.params.extraction),
            existing(snakemake.params.learning),
            snakemake.output.times,
            epochs=snakemake.params.epochs,
        )
