"""What a run may say: one typed model per block, the only truth about names, types and defaults.

The JSON Schema for editors and docs/configuration.md are made from it: ``python -m neuraldeps.config``.
"""

from neuraldeps.config.check import check_config, complete_config
from neuraldeps.config.run import Run, count_new

__all__ = ["Run", "check_config", "complete_config", "count_new"]
