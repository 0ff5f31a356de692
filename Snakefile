from snakemake.utils import min_version

min_version("9.27")

# a run's own file (--configfile) stands for itself, it is not merged into the default run
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/settings.smk"
include: "rules/inputs.smk"
include: "rules/resources.smk"
include: "rules/images.smk"
include: "rules/networks.smk"
include: "rules/logits.smk"
include: "rules/moments.smk"
include: "rules/dependencies.smk"
include: "rules/theory.smk"
include: "rules/stability.smk"
include: "rules/controls.smk"
include: "rules/cards.smk"
include: "rules/robustness.smk"
include: "rules/generalizability.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/explorer.smk"


localrules:
    all,


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        final_outputs(),
