"""Tables and figures of documents, generated from published runs by one command.

    python -m reports.published README.md docs/*.md

A document names a part by two comments, `<!-- KIND: published/NAME -->` and `<!-- end -->`. All
between them is replaced. Kinds: `arms` (the table of arms), `answers` (differences and answers),
`parts` (parts of memory by length), `use` (prefill and decoding by length), `fits` (a table of
`bench-long fit`, from `published/NAME/FILE.json`), and `claims` (all files in `claims/`). Files of
a run that a document links to, such as `published/NAME/FIGURE.png`, are made again. `--check`
writes nothing, and exits with 1 if a document differs from its runs.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.core.fits import read_fits
from harness.core.folder import REPORT, write_atomically
from reports.arms import markdown
from reports.blocks import Table
from reports.claims import claims_page
from reports.frame import load_results, runs_of
from reports.groups import Group
from reports.page import Report, build_report
from reports.sections.overview import answers, differences_table, readme_table
from reports.sections.parts import parts_tables
from reports.sections.throughput import ratio_tables
from reports.sections.use import use_tables

_FIGURE = re.compile(r"\]\(([\w./-]*published/[\w.-]+)/([\w.-]+\.(?:png|html))\)")


def generated(text: str, root: Path) -> str:
    """Return a document with its parts made again; paths in it are relative to `root`."""

    def made(found: re.Match[str]) -> str:
        path = root / found[3]
        source = "" if found[2] in _WITHOUT_ORIGIN else f"- {origin(path)}\n"
        return f"{found[1]}\n{_PARTS[found[2]](path)}{source}\n{found[4]}"

    kinds = "|".join(_PARTS)
    return re.sub(rf"(<!-- ({kinds}): (\S+) -->\n).*?(<!-- end -->)", made, text, flags=re.DOTALL)


def _answers(folder: Path) -> str:
    return differences_table(folder) + "".join(f"- {text}\n" for text in answers(folder))


def _tables(tables_of: Callable[[Group], list[Table]]) -> Callable[[Path], str]:
    """The tables of a section, of every group of costs."""

    def made(folder: Path) -> str:
        costs = Report(load_results(folder)).costs
        return "".join(f"{markdown(t)}\n\n" for group in costs for t in tables_of(group))

    return made


_WITHOUT_ORIGIN = ("fits", "claims")
"""Kinds that are not of one run, and name their sources themselves."""

_PARTS: dict[str, Callable[[Path], str]] = {
    "arms": lambda folder: f"{readme_table(folder)}\n",
    "answers": _answers,
    "times": _tables(ratio_tables),
    "parts": _tables(parts_tables),
    "use": _tables(use_tables),
    "fits": lambda path: read_fits(path).markdown(),
    "claims": claims_page,
}
"""What a document can show of a published run, by the kind of the part."""


def origin(folder: Path) -> str:
    """Return commit, number format, machine and library of a published run."""
    first = runs_of(load_results(folder))[0].results[0]
    seen = first["environment"]
    return (
        f"Commit {seen.get('commit', 'not recorded')}, {first['dtype']}, "
        f"{seen.get('gpu') or seen.get('cpu', 'unknown machine')}, {seen.get('cores', '?')} cores, "
        f"torch {seen.get('torch', '?')}."
    )


def figures(documents: Sequence[Path]) -> dict[Path, set[str]]:
    """Return the folders of published runs that documents link to, and the names of the files."""
    found: dict[Path, set[str]] = {}
    for document in documents:
        for folder, name in _FIGURE.findall(document.read_text(encoding="utf-8")):
            found.setdefault((document.parent / folder).resolve(), set()).add(name)
    return found


def draw(folder: Path, names: set[str]) -> None:
    """Write into the folder of a published run the pages and figures that documents link to.

    Raises:
        FileNotFoundError: the report has no file of a name.
    """
    with tempfile.TemporaryDirectory() as scratch:
        page = build_report([folder], Path(scratch) / REPORT, every=True)
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
