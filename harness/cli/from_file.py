"""`bench-long tasks from FILE`: the entry for a sweep file, and the card; or a whole sweep file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from harness.cli.console import reading
from harness.cli.task_commands import task_errors
from harness.core.errors import BadInput, printable
from harness.core.folder import write_atomically
from harness.models.backbones import find_backbone
from harness.models.tokens import word_counter
from harness.planning.cards import make_card
from harness.planning.yaml_files import dump_yaml
from tasks import OwnTasks, load_task
from tasks.card import SPECIAL, render_card
from tasks.files.entry import default_name
from tasks.files.guess import guess

SHOWN = 3
"""Lengths that are proposed."""


def describe(place: str, given: Mapping[str, str], backbone: str, to: Path | None = None) -> None:
    """Print what a sweep file needs for the data in a file or a folder, then its card.

    Args:
        place: the file or folder.
        given: the columns that the user names, by key of the entry.
        backbone: whose tokenizer measures lengths.
        to: a sweep file to write in place of the lines; paths in it are relative to it.

    Raises:
        BadInput: the file cannot be used; all that is wrong, one line each. Or `to` exists.
    """
    if to is not None and to.exists():
        raise BadInput(f"--to {to}: exists already: give another name")
    with task_errors("tasks from", place):
        found = find_backbone(backbone, "--backbone")
        entry, unused = guess(Path(place), given)
        keys = entry.as_given(to.parent if to else None)
        is_one = [*entry.places] == [""]  # data by split needs a name
        if is_one and entry.name == default_name(place, whole=entry.format == "folder"):
            del keys["name"]
        line = f"tasks: [{dump_yaml(keys, flow=True)}]"
        if to is None:
            click.echo("# for a sweep file in this folder (paths are relative to the sweep file)")
            click.echo(printable(line))
        own = OwnTasks(entries=(entry.located(Path.cwd()),))
        with reading(place):
            task = load_task(entry.name, own, word_counter(found))
            card = make_card(task, found, task.metadata.lengths)
    longest = card["tokens"]["max"] + SPECIAL
    reached = [length for length in task.metadata.lengths if length <= longest]
    lines = [
        f"lengths: {reached[-SHOWN:] or [*task.metadata.lengths][:1]}",
        "train: {examples: all, validation_examples: all, test_examples: all}",
    ]
    shown = [*lines] if to is None else []
    if unused:
        shown.append(f"# columns that are not used: {printable(', '.join(unused))}")
    if shown:
        click.echo("\n".join([*shown, ""]))
    click.echo(render_card(card))
    if to is not None:
        head = [dump_yaml({"name": to.stem, "backbone": backbone}).rstrip("\n"), line]
        text = "\n".join([*head, *lines[:1], "methods: [lora]", *lines[1:], ""])
        write_atomically(to, text)
        click.echo(
            f"\nwritten: {printable(str(to))}; to run it: bench-long run {printable(str(to))}"
        )
