"""Links, commands, make targets, sweeps and Python examples of the documentation work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.cli.main import cli
from harness.planning.plan import make_plan
from harness.planning.sweep import Limits, Probe, Sweep, Train, load_sweep
from tasks.files import DataEntry
from tests.tasks.files_made import rows, write_csv

ROOT = Path(__file__).parents[1]
METHODS = (ROOT / "ssmlora" / "README.md", ROOT / "hrm" / "README.md")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *METHODS])
LOG = sorted((ROOT / "docs" / "log").glob("*.md"))
"""Records of past experiments: only their links are kept up to date."""
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_INLINE = re.compile(r"`([^`\n]+)`")


def blocks(document: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(document.read_text()) if name == language]


def commands(document: Path) -> list[str]:
    """Every `make …` and `bench-long …`, inline or in a shell block."""
    lines = [line for text in blocks(document, "sh") for line in text.splitlines()]
    lines += [line for line in document.read_text().splitlines() if line.startswith("    bench-")]
    found = [*_INLINE.findall(document.read_text()), *lines]
    bare = [command.strip().removeprefix(".venv/bin/").split(" #")[0] for command in found]
    return [command for command in bare if command.startswith(("make ", "bench-long "))]


@pytest.mark.parametrize("document", [*DOCUMENTS, *LOG], ids=lambda d: d.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_readme_is_short_and_its_figure_small() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    first_screen = "\n".join(readme.splitlines()[:20])
    assert "make bench-long" in first_screen
    assert "make test" in first_screen
    (figure,) = re.findall(r"!\[[^]]+\]\(([^)]+\.png)\)", first_screen)
    assert (ROOT / figure).stat().st_size < 200_000


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        targets = [(page.parent / target).resolve() for target in _LINK.findall(page.read_text())]
        new |= {path for path in targets if path.suffix == ".md"} - reached
    assert reached >= {*DOCUMENTS, *LOG}


def test_the_log_lists_its_pages() -> None:
    index = (ROOT / "docs" / "log" / "README.md").read_text()
    listed = _LINK.findall(index)
    assert sorted([*listed, "README.md"]) == [page.name for page in LOG]


def test_the_path_of_a_number_has_at_most_twelve_files() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## The path of a number")[2]
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert 5 < len(rows) <= 12
    for number, row in enumerate(rows, 1):
        step, file = row.split("|")[1:3]
        assert int(step) == number
        assert (ROOT / file.strip(" `")).is_file(), row


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = 0
    for document in DOCUMENTS:
        for command in commands(document):
            words = shlex.split(command)
            if words[0] == "make":
                for word in words[1:]:
                    if re.fullmatch(r"[a-z-]+", word):
                        assert word in targets, f"{document.name}: {command}"
                        named += 1
    assert named > 5


def test_every_command_that_is_named_exists() -> None:
    named = 0
    for document in DOCUMENTS:
        for command in commands(document):
            words = shlex.split(command)
            if words[0] != "bench-long" or words[1].isupper():
                continue
            assert words[1] in cli.commands, f"{document.name}: {command}"
            known = {o for p in cli.commands[words[1]].params for o in p.opts}
            for word in words[2:]:
                if word.startswith("--"):
                    assert word in known, f"{document.name}: {command}"
            named += 1
    assert named > 5
    assert isinstance(cli, click.Group)


SWEEP_BLOCKS = [
    (document, number)
    for document in DOCUMENTS
    for number, text in enumerate(blocks(document, "yaml"))
    if re.search(r"^methods:", text, re.MULTILINE)
]


@pytest.mark.parametrize(("document", "number"), SWEEP_BLOCKS, ids=lambda x: getattr(x, "name", x))
def test_every_sweep_in_a_document_can_be_planned_as_it_is(
    document: Path, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder, without changes; the file of docs/own-data.md is there."""
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "reviews.csv", rows())
    path = tmp_path / "copied.yaml"
    path.write_text(blocks(document, "yaml")[number])
    assert make_plan(load_sweep(path), path).cells


def test_the_documents_hold_sweeps() -> None:
    assert {document.name for document, _ in SWEEP_BLOCKS} >= {
        "README.md",
        "own-data.md",
        "sweeps.md",
    }


def test_the_first_lines_of_own_data_are_those_that_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "reviews.csv", rows())
    page = ROOT / "docs" / "own-data.md"
    assert "bench-long tasks from reviews.csv" in commands(page)
    lines = CliRunner().invoke(cli, ["tasks", "from", "reviews.csv"]).output.splitlines()
    written = blocks(page, "yaml")[0].splitlines()
    assert [line for line in written if line in lines] == [written[2], written[3], written[5]]
    assert written[2].startswith("tasks: ")


def test_every_key_of_an_entry_is_on_its_page() -> None:
    text = (ROOT / "docs" / "own-data.md").read_text()
    for key in DataEntry.model_fields:
        assert re.search(rf"[`{{ ]{key}[`:]", text), key


def sweep_commands() -> list[tuple[str, ...]]:
    """Sweep and overrides of every `bench-long plan|run` and `make bench-long`."""
    found = set()
    for command in {command for document in DOCUMENTS for command in commands(document)}:
        if not re.search(r"(plan|run) sweeps/|SWEEP=sweeps/|RUN_ARGS=", command):
            continue
        words = shlex.split(command)
        if words[0] == "make":
            given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            sweep = given.get("SWEEP", "sweeps/laptop.yaml")
            words = ["", "", sweep, *shlex.split(given.get("RUN_ARGS", ""))]
        sets = [after for word, after in pairwise(words) if word == "--set"]
        found.add((words[2], *sets))
    return sorted(found)


@pytest.mark.parametrize("sweep", sweep_commands(), ids=" ".join)
def test_sweeps_in_commands_can_be_planned(sweep: tuple[str, ...]) -> None:
    """Without overrides, tests/harness/planning/test_plan.py plans them."""
    path = ROOT / sweep[0]
    planned = load_sweep(path, sweep[1:])
    if sweep[1:]:
        assert make_plan(planned, path).cells


def test_every_key_of_a_sweep_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "sweeps.md").read_text()
    for model in (Sweep, Train, Probe, Limits):
        for field in model.model_fields:
            assert re.search(rf"[`.]{field}[`.]", text), field


def test_the_sweep_in_the_readme_has_the_cells_it_describes(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "README.md", "yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert len(make_plan(load_sweep(path), path).cells) == 2 * 3 * (6 + 1 + 1)


RUN_EXAMPLES = """
import os, sys, peft, transformers
for name, code in zip(sys.argv[1::2], sys.argv[2::2]):
    if not (child := os.fork()):
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
        sys.exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"the examples of {name} fail")
"""


@pytest.mark.slow
def test_python_examples_run() -> None:
    """The examples of each document run in order, in a new process.

    These processes are forks of one that has imported PEFT, because the import takes seconds.
    """
    examples = {str(d.relative_to(ROOT)): blocks(d, "python") for d in DOCUMENTS}
    words = [word for name, codes in examples.items() if codes for word in (name, "\n".join(codes))]
    call = [sys.executable, "-c", RUN_EXAMPLES, *words]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "ssmlora/README.md" in words


def test_the_embedded_decoder_is_called_by_its_whole_name() -> None:
    """SmolLM2-135M is another model: the base model of the instruction-tuned one."""
    folders = ("harness", "hrm", "ssmlora", "tasks", "reports", "benchmarks")
    code = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for path in [*DOCUMENTS, *LOG, *code, *(ROOT / "sweeps").glob("*.yaml")]:
        if path.name != "CHANGELOG.md":  # describes earlier versions
            assert not re.search(r"SmolLM2-135M(?!-Instruct)", path.read_text()), path
