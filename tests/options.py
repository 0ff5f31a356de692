"""Options as a configuration gives them: its defaults, but for what is given."""

from typing import Any

from neuraldeps.config.blocks import fill
from neuraldeps.config.networks import Extraction, Model
from neuraldeps.config.training import Train
from neuraldeps.logits.extraction import ExtractionOptions
from neuraldeps.networks.loop import TrainingOptions

LAYOUT = {"channels_last": Model().channels_last}


def extraction_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `ExtractionOptions`."""
    return {**LAYOUT, **fill(Extraction, given)}


def training_config(**given: Any) -> dict[str, Any]:
    """What the rules pass on for `TrainingOptions`, but for the processes that load images."""
    apart = ("samples_per_category", "valid_samples_per_category", "split")
    options = {**LAYOUT, **fill(Train, given)}
    del options["trainer"]["workers"]
    return {name: value for name, value in options.items() if name not in apart}


def extraction_options(**given: Any) -> ExtractionOptions:
    return ExtractionOptions(**LAYOUT | given)


def training_options(**given: Any) -> TrainingOptions:
    return TrainingOptions(**LAYOUT | given)
