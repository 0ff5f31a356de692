"""Markdown as a page that a browser shows on its own: tables with their headings in sight, light and dark."""

from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 80rem; padding: 0 1rem; }}
.table {{ overflow: auto; max-height: 85vh; }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }}
th {{ position: sticky; top: 0; background: Canvas; vertical-align: bottom; border-bottom: 2px solid #888; }}
tbody tr:hover {{ background: #8882; }}
ol, li, p {{ max-width: 60rem; }}
code {{ font-size: .9em; }}
</style>
<body>
{body}</body>
</html>
"""


def write_page(markdown: str, path: Path, title: str) -> None:
    """Write Markdown as one HTML file that needs no other.

    Parameters
    ----------
    markdown : str
        With tables as GitHub has them.
    path : Path
        File to write.
    title : str
        Of the page.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    path.write_text(PAGE.format(title=escape(title), body=body), encoding="utf-8")
