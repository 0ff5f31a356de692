"""Write docs/stores.md's tables from the layouts: ``python -m neuraldeps.stores``, in the project's root."""

from pathlib import Path

from neuraldeps.stores.layout import in_place
from neuraldeps.stores.layouts import LAYOUTS


def main(root: Path = Path()) -> None:
    """Write the tables of docs/stores.md.

    Parameters
    ----------
    root : Path
        Root of the project.
    """
    page = root / "docs/stores.md"
    page.write_text(in_place(page.read_text(encoding="utf-8"), LAYOUTS), encoding="utf-8")


if __name__ == "__main__":
    main()
