"""What `bench-long tasks` does: list tasks, show a card, check the data, write a plug-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from harness.core.errors import BadInput, one_line, printable
from tasks import OwnTasks, TaskError, discover, load_task
from tasks.contract import check_examples


@contextmanager
def task_errors(command: str, name: str) -> Iterator[None]:
    """Turn any error of a plug-in, which is foreign code, into one line for the user."""
    try:
        yield
    except TaskError as error:
        raise BadInput(*(f"{command}: {line}" for line in error.args)) from None
    except (BadInput, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"{command}: '{name}' fails: {type(error).__name__}: {one_line(error)}"
        ) from None


def list_tasks(own: OwnTasks) -> None:
    """Print one line for each task, and the reasons why others cannot be used."""
    found = discover(own.folder)
    width = max(map(len, [*found, *found.broken]))
    for name in sorted(found):
        metadata = found[name].metadata
        click.echo(printable(f"{name:<{width}}  {metadata.family:<14}  {metadata.title}"))
    for entry in own.entries:
        click.echo(printable(f"{entry.name:<{width}}  {entry.format:<14}  in the sweep file"))
    for name, reason in sorted(found.broken.items()):
        click.echo(printable(f"{name:<{width}}  broken: {reason}"))


def show_card(name: str, backbone: str, own: OwnTasks) -> None:
    """Print a task's card, with lengths in tokens of a backbone."""
    from harness.cli.console import reading
    from harness.models.backbones import find_backbone
    from harness.models.tokens import word_counter
    from harness.planning.cards import make_card
    from tasks.card import render_card

    with task_errors("tasks", name):
        found = find_backbone(backbone, "--backbone")
        task = load_task(name, own, word_counter(found))
        with reading(f"the task {name}"):
            task.prepare()
            check_examples(task, min(task.metadata.lengths), 0)
            card = make_card(task, found, task.metadata.lengths)
        click.echo(render_card(card))


def check(name: str, backbone: str, length: int | None, own: OwnTasks) -> int:
    """Print the problems in a task's data, one line each; return 1 if there is any, else 0.

    Runs the checks of `tasks.conformance` at `length`, or at all lengths of the task. A summary
    goes to standard error.
    """
    from harness.cli.console import reading
    from harness.models.backbones import find_backbone
    from harness.models.tokens import word_counter
    from tasks.conformance import violations
    from tasks.findings import shared_with_train

    with task_errors("tasks check", name):
        found = find_backbone(backbone, "--backbone")
        task = load_task(name, own, word_counter(found))
        metadata = task.metadata
        lengths = [length] if length else list(metadata.lengths)
        if min(lengths) < metadata.min_length:
            raise BadInput(
                f"tasks check: --length: {length} tokens is too short for the task '{name}', which "
                f"starts at {metadata.min_length}"
            )
        wrong: dict[str, list[int]] = {}
        with reading(f"the task {name}"):
            task.prepare()
            for one in lengths:
                for line in violations(task, one):
                    wrong.setdefault(line, []).append(one)
            count, tested, trained = shared_with_train(metadata, task.splits(min(lengths), 0))
    for line, at in wrong.items():
        where = "" if len(at) == len(lengths) else f" (at {', '.join(map(str, at))} tokens)"
        click.echo(printable(f"{name}: {line}{where}"))
    published = ", as published" if metadata.published_splits else ""
    click.echo(
        f"{name}: shared with train{published}: {count:,} of {tested:,} test texts "
        f"(looked for in {trained:,} training texts)",
        err=True,
    )
    at_lengths = f"at {', '.join(map(str, lengths))} tokens"
    click.echo(f"{name}: {len(wrong) or 'no'} findings {at_lengths}", err=True)
    return 1 if wrong else 0


def export(
    name: str, backbone: str, to: Path, length: int | None, seed: int, own: OwnTasks
) -> None:
    """Write a task in the form of lm-eval, its texts cut by the tokenizer of a backbone."""
    from harness.lm_eval import export_task
    from harness.models.backbones import find_backbone
    from harness.models.tokens import load_tokenizer, word_counter

    with task_errors("tasks export", name):
        found = find_backbone(backbone, "--backbone")
        task, tokenizer = load_task(name, own, word_counter(found)), load_tokenizer(found)
        for path in export_task(task, tokenizer, to, length, seed):
            click.echo(f"written: {printable(str(path))}")
        click.echo(
            f"run it: lm_eval --model hf … --tasks {name} --include_path {printable(str(to))}"
        )


def write_task(name: str, tasks_dir: Path | None) -> None:
    """Write a plug-in and its test: beside the built-in tasks, or into `tasks_dir`."""
    from tasks.template import new_task

    folder = tasks_dir or Path(__file__).parents[2] / "tasks"
    try:
        for path in new_task(name, folder):
            click.echo(f"written: {printable(str(path))}")
    except TaskError as error:
        raise BadInput(f"tasks new: {error}") from None
