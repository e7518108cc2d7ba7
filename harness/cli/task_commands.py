"""`bench-long tasks`: list the plug-ins, show a card, check the data, write a new plug-in."""

from __future__ import annotations

from pathlib import Path

import click

from harness.core.errors import BadInput, one_line, printable
from tasks import TaskError, discover, load_task
from tasks.contract import check_examples


def list_tasks(tasks_dir: Path | None) -> None:
    """Print one line a task, and why the broken ones are not among them."""
    found = discover(tasks_dir)
    width = max(map(len, [*found, *found.broken]))
    for name in sorted(found):
        metadata = found[name].metadata
        click.echo(printable(f"{name:<{width}}  {metadata.family:<14}  {metadata.title}"))
    for name, reason in sorted(found.broken.items()):
        click.echo(printable(f"{name:<{width}}  broken: {reason}"))


def show_card(name: str, backbone: str, tasks_dir: Path | None) -> None:
    """Print a task's card, its lengths measured by a backbone's tokenizer."""
    from harness.cli.console import reading
    from harness.models.backbones import find_backbone
    from harness.models.tokens import word_counter
    from harness.planning.cards import make_card
    from tasks.card import render_card

    try:
        found = find_backbone(backbone, "--backbone")
        task = load_task(name, tasks_dir, word_counter(found))
        with reading(f"the task {name}"):
            task.prepare()
            check_examples(task, min(task.metadata.lengths), 0)
            card = make_card(task, found, task.metadata.lengths)
        click.echo(render_card(card))
    except TaskError as error:
        raise BadInput(f"tasks: {error}") from None
    except (BadInput, OSError):
        raise
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"tasks: '{name}' fails: {type(error).__name__}: {one_line(error)}"
        ) from None


def check(name: str, backbone: str, length: int | None, tasks_dir: Path | None) -> int:
    """Print what is wrong with a task's data, a line a finding; return 1 if anything is, else 0.

    A summary goes to standard error.

    All checks of `tasks.conformance` but that of time, at `length` or at the task's own lengths.
    """
    from harness.cli.console import reading
    from harness.models.backbones import find_backbone
    from harness.models.tokens import word_counter
    from tasks.conformance import violations
    from tasks.findings import shared_with_train

    try:
        found = find_backbone(backbone, "--backbone")
        task = load_task(name, tasks_dir, word_counter(found))
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
                for line in violations(task, one, timed=False):
                    wrong.setdefault(line, []).append(one)
            count, tested, trained = shared_with_train(metadata, task.splits(min(lengths), 0))
    except TaskError as error:
        raise BadInput(f"tasks check: {error}") from None
    except (BadInput, OSError):
        raise
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"tasks check: '{name}' fails: {type(error).__name__}: {one_line(error)}"
        ) from None
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
    name: str, backbone: str, to: Path, length: int | None, seed: int, tasks_dir: Path | None
) -> None:
    """Write a task as one of lm-eval's, its texts cut by a backbone's tokenizer."""
    from harness.cli.export import export_task
    from harness.models.backbones import find_backbone
    from harness.models.tokens import load_tokenizer, word_counter

    try:
        found = find_backbone(backbone, "--backbone")
        task, tokenizer = load_task(name, tasks_dir, word_counter(found)), load_tokenizer(found)
        for path in export_task(task, tokenizer, to, length, seed):
            click.echo(f"written: {printable(str(path))}")
        click.echo(
            f"run it: lm_eval --model hf … --tasks {name} --include_path {printable(str(to))}"
        )
    except TaskError as error:
        raise BadInput(f"tasks export: {error}") from None
    except (BadInput, OSError):
        raise
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"tasks export: '{name}' fails: {type(error).__name__}: {one_line(error)}"
        ) from None


def write_task(name: str, tasks_dir: Path | None) -> None:
    """Write a plug-in and its test: beside the built-in tasks, or into `tasks_dir`."""
    from tasks.template import new_task

    folder = tasks_dir or Path(__file__).parents[2] / "tasks"
    try:
        for path in new_task(name, folder):
            click.echo(f"written: {printable(str(path))}")
    except TaskError as error:
        raise BadInput(f"tasks new: {error}") from None
