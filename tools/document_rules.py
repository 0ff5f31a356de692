"""Write docs/rules.md from the rules: ``python tools/document_rules.py``, in the project's root."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = "docs/rules.md"
INTRODUCTION = """\
# Rules

[index](index.md) · [architecture](architecture.md) · [stores](stores.md)

Every rule of the workflow, by stage, in the order in which the [Snakefile](../Snakefile) includes them; what runs, on \
what and when is in [the picture](architecture.md#the-rules). A rule, its script, its log (`logs/RULE/`) and its \
benchmark (`logs/benchmarks/RULE/`) share one name. `snakemake RULE` makes what a rule without wildcards makes, \
`snakemake --forcerun RULE` makes it anew.

<!-- made by python tools/document_rules.py -->
"""


def stages(root: Path) -> list[Path]:
    """The files of rules, as the Snakefile includes them."""
    included = re.findall(r'^include: "(.+)"$', (root / "Snakefile").read_text(), flags=re.M)
    files = [root / name for name in included]
    return [file for file in files if re.search(r"^rule ", file.read_text(), flags=re.M)]


def header(text: str) -> dict[str, str]:
    """What the comment above a file's rules says of what goes in and what comes out."""
    comment = "".join(line[1:] + "\n" for line in text.split("\n\n")[0].splitlines())
    parts = re.findall(r"^ (in|out): +(.*(?:\n  .*)*)", comment, flags=re.M)
    return {side: re.sub(r"\s+", " ", what).strip() for side, what in parts}


def rules(text: str) -> Iterator[tuple[str, str]]:
    """Name and docstring of every rule."""
    yield from re.findall(r'^rule (\w+):\n +"""(.+?)"""', text, flags=re.M)


def in_code(text: str) -> str:
    """Text with its paths in code, so that Markdown reads no braces, stars or underscores in them."""
    path = r"(?:results|logs|neuraldeps)/(?:\{[^}]*\}|[^\s,;{])*|\b\w+\.(?:json|csv|safetensors)\b|\bstart/"
    return re.sub(path, r"`\g<0>`", text)


def page(root: Path) -> str:
    """The whole page."""
    sections = [INTRODUCTION]
    for file in stages(root):
        text = file.read_text()
        sides = header(text)
        sections.append(f"## [{file.stem}](../rules/{file.name})\n")
        sections.append(
            "\n".join(f"- *{word}*: {in_code(sides[word])}" for word in ("in", "out")) + "\n"
        )
        sections.append("| rule | what it does |\n|---|---|")
        for name, does in rules(text):
            shown = does.replace("|", r"\|")
            sections.append(f"| [`{name}`](../scripts/{name}.py) | {shown} |")
        sections.append("")
    return "\n".join(sections)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(ROOT))
