"""The control networks that a run can have, by what is done to a network of its own.

A control network is called `{model}@{kind}`: `@` is in no model's name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """One kind of control network.

    Attributes
    ----------
    meaning : str
        What it is, for the notes of a table.
    is_between : bool
        Whether it is held against another network, as source, and not against itself.
    is_network : bool
        Whether its logits come from a network, and not from those of one.
    """

    meaning: str
    is_between: bool = False
    is_network: bool = False


CONTROLS = {
    "untrained": Control("the same architecture with its first random weights", is_network=True),
    "gaussian": Control(
        "Gaussian logits whose second moment has the network's eigenvalues in random directions"
    ),
    "shuffled": Control("the network's logits of the same images in random order", is_between=True),
    "planted": Control(
        "the network with some rows of its classifier replaced by known combinations of others"
    ),
}
