"""Write notebooks/*.ipynb with their outputs: each .py, the source, run where it lies.

``python tools/make_notebooks.py [NAME ...]``, after a run, whose stores notebooks/run.py reads.
"""

import sys
from pathlib import Path

import jupytext
import nbclient
import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"


def main(names: list[str]) -> None:
    """Run the notebooks of these names, or all."""
    for name in names or sorted(path.stem for path in FOLDER.glob("*.py")):
        notebook = jupytext.read(FOLDER / f"{name}.py")
        for number, cell in enumerate(notebook.cells):
            cell.id = f"{name}-{number}"  # not drawn anew at every run
        nbclient.NotebookClient(
            notebook,
            timeout=600,
            record_timing=False,
            resources={"metadata": {"path": str(FOLDER)}},
        ).execute()
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
