"""Write what is made from the models: ``python -m neuraldeps.config``, in the project's root."""

import json
from pathlib import Path

from neuraldeps.config.documents import in_place, json_schema


def main(root: Path = Path()) -> None:
    """Write the JSON Schema, and the tables of docs/configuration.md.

    Parameters
    ----------
    root : Path
        Root of the project.
    """
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    (root / "schemas/config.schema.json").write_text(f"{schema}\n", encoding="utf-8")
    page = root / "docs/configuration.md"
    page.write_text(in_place(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
