"""Keys of earlier releases, and what they are called now."""

import re
from collections.abc import Mapping

from neuraldeps.config.blocks import Path, dotted

# old key: new key, both in full; <name> stands for any name, and stays what it is
RENAMED: dict[str, str] = {}


def find_new_name(path: Path, renamed: Mapping[str, str]) -> str | None:
    """The present name of a key, if it had another.

    Examples
    --------
    >>> renamed = {"models.<name>.train.lr": "models.<name>.train.optimizer.lr"}
    >>> find_new_name(("models", "mine", "train", "lr"), renamed)
    'models.mine.train.optimizer.lr'
    """
    for old, new in renamed.items():
        pattern = re.escape(old).replace("<name>", r"([^.]+)")
        if found := re.fullmatch(pattern, dotted(path)):
            for name in found.groups():
                new = new.replace("<name>", name, 1)
            return new
    return None
