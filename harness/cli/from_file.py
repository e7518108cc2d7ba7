"""`bench-long tasks from FILE`: the entry for a sweep file, and the card. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from harness.cli.console import reading
from harness.cli.task_commands import task_errors
from harness.core.errors import printable
from harness.models.backbones import find_backbone
from harness.models.tokens import word_counter
from harness.planning.cards import make_card
from harness.planning.yaml_files import dump_yaml
from tasks import OwnTasks, load_task
from tasks.card import render_card
from tasks.files.entry import default_name
from tasks.files.guess import guess

SHOWN = 3
"""Lengths that are proposed."""


def describe(place: str, given: Mapping[str, str], backbone: str) -> None:
    """Print what a sweep file needs for the data in a file or a folder, then its card.

    Raises:
        BadInput: the file cannot be used; all that is wrong, one line each.
    """
    with task_errors("tasks from", place):
        found = find_backbone(backbone, "--backbone")
        entry = guess(Path(place), given)
        keys = entry.as_given()
        if entry.name == default_name(place, whole=entry.format == "folder"):
            del keys["name"]
        click.echo("# for a sweep file in this folder (paths are relative to the sweep file)")
        click.echo(printable(f"tasks: [{dump_yaml(keys, flow=True)}]"))
        own = OwnTasks(entries=(entry.located(Path.cwd()),))
        with reading(place):
            task = load_task(entry.name, own, word_counter(found))
            card = make_card(task, found, task.metadata.lengths)
    reached = [n for n in task.metadata.lengths if n <= card["tokens"]["max"]]
    click.echo(f"lengths: {reached[-SHOWN:] or [*task.metadata.lengths][:1]}")
    click.echo("train: {examples: all, validation_examples: all, test_examples: all}\n")
    click.echo(render_card(card))
