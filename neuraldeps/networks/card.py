"""The card of a network: what `check_network` found it to be, for every job that comes after."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from neuraldeps.errors import InputError
from neuraldeps.stores import aside

DATA_CONFIG = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """A network that was seen to work.

    Attributes
    ----------
    model : str
        Its name in the configuration.
    architecture : str
        timm's name.
    model_kwargs : dict
        Options of timm's constructor.
    n_categories : int
    param_count : int
    feature_dimension : int
        d, what the linear classifier sees.
    rank_bound : int
        ``min(n_categories, d + 1)``, the largest rank that its logits can have.
    input_size : list of int
        (channel, y, x) of an image.
    interpolation, mean, std, crop_pct, crop_mode
        How images are prepared, in timm's words.
    categories : list of int, optional
        Those that a base network knows, among the images'; all by default.
    """

    model: str
    architecture: str
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    n_categories: int
    param_count: int
    feature_dimension: int
    rank_bound: int
    input_size: list[int]
    interpolation: str
    mean: list[float]
    std: list[float]
    crop_pct: float
    crop_mode: str
    categories: list[int] | None = None

    @property
    def data_config(self) -> dict[str, Any]:
        """How images are prepared, as timm's data configuration."""
        return {name: getattr(self, name) for name in DATA_CONFIG}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without `categories` where all are known.

        Returns
        -------
        dict
            By field.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}

    def to_json(self, path: str) -> None:
        """Write the card, whole or not at all.

        Parameters
        ----------
        path : str
            File to write.
        """
        with aside(path) as work:
            work.write_text(json.dumps(self.as_dict(), indent=2) + "\n")

    @classmethod
    def from_json(cls, path: str) -> "NetworkCard":
        """Read a card.

        Parameters
        ----------
        path : str
            File that `to_json` wrote.

        Returns
        -------
        NetworkCard
            The card.

        Raises
        ------
        InputError
            If it is none, or one of another version.
        """
        try:
            given = json.loads(Path(path).read_text())
            return cls(**{one.name: given[one.name] for one in fields(cls) if one.name in given})
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path}: is not the card of a network ({error}); remove it and run again"
            ) from error
