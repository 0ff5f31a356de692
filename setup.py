"""Put the workflow into the package when it is built; all else is said in pyproject.toml.

In a checkout the workflow stands beside the package, where Snakemake finds it. In a wheel it lies in
it, as `neuraldeps/workflow/`.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# what a run reads; MANIFEST.in lists the same, for wheels that are built from an archive
WORKFLOW = ["Snakefile", "config.yaml", "config", "envs", "profiles", "reference", "report"]
WORKFLOW += ["rules", "schemas", "scripts", "slurm"]


class BuildWithWorkflow(build_py):
    """Copies the workflow's files, too."""

    def copies(self) -> dict[str, str]:
        """Files of the workflow, by where they go; none where the package is used in place."""
        found: dict[str, str] = {}
        for name in [] if self.editable_mode else WORKFLOW:
            files = [Path(name)] if Path(name).is_file() else sorted(Path(name).rglob("*"))
            for file in files:
                if file.is_file() and "__pycache__" not in file.parts:
                    found[str(Path(self.build_lib, "neuraldeps", "workflow", file))] = str(file)
        return found

    def run(self) -> None:
        """Build the package, and copy."""
        super().run()
        for target, source in self.copies().items():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is built."""
        return [*super().get_outputs(include_bytecode), *self.copies()]

    def get_output_mapping(self) -> dict[str, str]:
        """What is built from what."""
        return {**super().get_output_mapping(), **self.copies()}


setup(cmdclass={"build_py": BuildWithWorkflow})
