"""Options as a configuration gives them: the schema's defaults, but for what is given."""

from pathlib import Path
from typing import Any

import yaml

from neuraldeps.extraction import ExtractionOptions
from neuraldeps.training import TrainingOptions

(PATH,) = (Path(__file__).parents[1] / "schemas").glob("config.schema.*")
SCHEMA = yaml.safe_load(PATH.read_text())  # of which JSON is a part


def defaults(*path: str) -> dict[str, Any]:
    """Defaults of a part of the configuration."""
    part = SCHEMA
    for key in path:
        part = part["properties"][key] if key != "*" else part["additionalProperties"]
    return {key: entry["default"] for key, entry in part["properties"].items()}


def extraction_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `ExtractionOptions`."""
    apart = ("workers", "parts", "rows_per_shard", "gpu")
    return {k: v for k, v in defaults("extraction").items() if k not in apart} | given


def training_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `TrainingOptions`, but for the processes that load images."""
    apart = ("samples_per_category", "valid_samples_per_category", "split", "workers")
    own = defaults("models", "*", "train")
    return {k: v for k, v in own.items() if k not in apart} | given


def extraction_options(**given: Any) -> ExtractionOptions:
    return ExtractionOptions(**extraction_config(**given))


def training_options(workers: int = 0, **given: Any) -> TrainingOptions:
    return TrainingOptions.on_threads(training_config(**given), 1 + workers)
