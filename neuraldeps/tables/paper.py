"""The paper's own numbers, found by network and category."""

import re

import pandas as pd

# Target categories of the paper's six cases, as far as its Figure 2 tells.
PAPER_CATEGORIES = {
    "ResNet-18": "jellyfish",
    "ResNet-50": "American egret",
    "Swin-T": "basketball",
    "ViT-S": "komondor",
    "ResNet-50 -> Swin-T": "bustard",
    "Swin-T -> ResNet-50": "hamster",
}
BACKBONES = {
    "ResNet-18": ("resnet18", "resnet_18"),
    "ResNet-50": ("resnet50", "resnet_50"),
    "Swin-T": ("swin_tiny", "swin_t"),
    "ViT-S": ("vit_small", "vit_s"),
}


def paper_backbone(model: str) -> str | None:
    """The paper's name of a network, from a name such as timm's, else None.

    Parameters
    ----------
    model : str
        A network's name in the configuration.

    Returns
    -------
    str or None
        As ``reference/paper_tables.csv`` writes it.

    Examples
    --------
    >>> paper_backbone("swin_tiny_patch4_window7_224.ms_in1k")
    'Swin-T'
    >>> paper_backbone("resnet18d") is None
    True
    """
    for backbone, names in BACKBONES.items():
        if re.match(rf"({'|'.join(names)})(?![a-z0-9])", model.casefold().replace("-", "_")):
            return backbone
    return None


def paper_numbers(paper: pd.DataFrame | None, table: int, **where: str | None) -> pd.DataFrame:
    """Look up the paper's own numbers in one of its tables.

    Parameters
    ----------
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; None has no numbers.
    table : int
        The table's number in the paper.
    **where : str, optional
        What columns such as `backbone`, `setting` and `variant` must hold; None answers nothing.

    Returns
    -------
    pandas.DataFrame
        The rows that answer, in the paper's order: `metric`, `variant`, `value`, `std`.
    """
    if paper is None:
        return pd.DataFrame(columns=["metric", "variant", "value", "std"])
    found = paper["table"].astype(str) == str(table)
    for column, value in where.items():
        found &= paper[column] == value
    return paper[found]
