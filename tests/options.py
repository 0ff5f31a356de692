"""Options as a configuration gives them: its defaults, but for what is given."""

from typing import Any

from neuraldeps.config.blocks import Block
from neuraldeps.config.networks import Extraction, Train
from neuraldeps.extraction import ExtractionOptions
from neuraldeps.training import TrainingOptions


def defaults(block: type[Block]) -> dict[str, Any]:
    """Defaults of a block of the configuration."""
    return block().model_dump()


def extraction_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `ExtractionOptions`."""
    apart = ("workers", "parts", "rows_per_shard", "gpu")
    return {k: v for k, v in defaults(Extraction).items() if k not in apart} | given


def training_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `TrainingOptions`, but for the processes that load images."""
    apart = ("samples_per_category", "valid_samples_per_category", "split", "workers")
    own = defaults(Train)
    return {k: v for k, v in own.items() if k not in apart} | given


def extraction_options(**given: Any) -> ExtractionOptions:
    return ExtractionOptions(**extraction_config(**given))


def training_options(workers: int = 0, **given: Any) -> TrainingOptions:
    return TrainingOptions.on_threads(training_config(**given), 1 + workers)
