"""Tables and figures of documents, generated from published runs by one command.

    python -m reports.published README.md docs/*.md

A document names a table by a pair of comments, `<!-- table: published/NAME -->` and `<!-- end -->`.
All between them is replaced. Figures of a run that a document shows as
`published/NAME/FIGURE.png` are drawn again. `--check` writes nothing, and exits with 1 if a
document differs from its runs.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.core.folder import PAGE, REPORT, write_atomically
from reports.frame import load_results, runs_of
from reports.page import build_report
from reports.sections.overview import answers, readme_table

_TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FIGURE = re.compile(r"\]\(([\w./-]*published/[\w.-]+)/([\w.-]+\.png)\)")


def generated(text: str, root: Path) -> str:
    """Return a document with its tables made again; paths in it are relative to `root`."""
    return _TABLE.sub(lambda found: found[1] + table(root / found[2]) + found[3], text)


def table(folder: Path) -> str:
    """Return table, answers and origin of a published run in Markdown."""
    first = runs_of(load_results(folder))[0].results[0]
    seen = first["environment"]
    origin = (
        f"Commit {seen.get('commit', 'not recorded')}, {first['dtype']}, "
        f"{seen.get('gpu') or seen.get('cpu', 'unknown machine')}, {seen.get('cores', '?')} cores, "
        f"torch {seen.get('torch', '?')}."
    )
    found = "".join(f"- {text}\n" for text in answers(folder))
    return f"\n{readme_table(folder)}\n{found}- {origin}\n\n"


def figures(documents: Sequence[Path]) -> dict[Path, set[str]]:
    """Return the folders of published runs, and the names of their figures, in documents."""
    found: dict[Path, set[str]] = {}
    for document in documents:
        for folder, name in _FIGURE.findall(document.read_text(encoding="utf-8")):
            found.setdefault((document.parent / folder).resolve(), set()).add(name)
    return found


def draw(folder: Path, names: set[str]) -> None:
    """Write the page of a published run into its folder, and the figures that documents show.

    Raises:
        FileNotFoundError: the report has no figure of a name.
    """
    with tempfile.TemporaryDirectory() as scratch:
        page = build_report([folder], Path(scratch) / REPORT)
        write_atomically(folder / PAGE, page.read_bytes())
        for name in sorted(names):
            write_atomically(folder / name, (page.parent / name).read_bytes())


def main(arguments: Sequence[str]) -> int:
    """Write the documents, or check them."""
    root = Path(__file__).parents[1]
    check = "--check" in arguments
    documents = [Path(name).resolve() for name in arguments if name != "--check"]
    differing = 0
    for document in documents:
        text = document.read_text(encoding="utf-8")
        new = generated(text, root)
        if new != text and check:
            print(f"{document.relative_to(root)}: differs from its runs: make published")
            differing += 1
        elif new != text:
            write_atomically(document, new)
    if not check:
        for folder, names in figures(documents).items():
            draw(folder, names)
    return int(bool(differing))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
