"""`bench-long tasks`: its words and options."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import tasks_dir_option
from harness.core.errors import BadInput

COLUMNS = ("text", "second", "label", "answer", "number")
"""Options of `from` that name a column."""


@click.command()
@click.argument(
    "words", nargs=-1, metavar="[NAME | new NAME | check NAME | export NAME | from FILE]"
)
@click.option(
    "--backbone", default="minilm", show_default=True, help="Whose tokenizer measures lengths."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="export: the folder. from: a sweep file to write in place of the lines.",
)
@click.option("--length", type=click.IntRange(min=1), help="export, check: in tokens.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="export: of the train split.",
)
@click.option(
    "--sweep",
    type=click.Path(path_type=Path),
    help="A sweep file whose own tasks (`tasks: [{csv: …}]`) are meant.",
)
@click.option("--text", metavar="COLUMN", help="from: the texts.")
@click.option("--second", metavar="COLUMN", help="from: the other text, or the question.")
@click.option("--label", metavar="COLUMN", help="from: the classes.")
@click.option("--answer", metavar="COLUMN", help="from: the texts to write.")
@click.option("--number", metavar="COLUMN", help="from: the numbers to predict.")
@tasks_dir_option(exists=False)
def tasks(
    words: tuple[str, ...],
    backbone: str,
    to: Path | None,
    length: int | None,
    seed: int,
    sweep: Path | None,
    tasks_dir: Path | None,
    **columns: str | None,
) -> int:
    """List the tasks, show the card of one, write a plug-in, check its data, export to lm-eval.

    `from FILE` looks at a file or a folder, and prints the entry for a sweep file and the card;
    `--to mine.yaml` writes a sweep file that can be run.
    """
    from harness.cli import task_commands
    from harness.planning.sweep import load_sweep
    from tasks import OwnTasks
    from tasks.template import COMMANDS

    given = {key: name for key in COLUMNS if (name := columns[key]) is not None}
    command = words[0] if len(words) == 2 else ""
    if (to and command not in ("export", "from")) or (
        length and command not in ("export", "check")
    ):
        raise BadInput(
            "tasks: --to is of export and from, --length of export and check (own plug-ins: "
            "--tasks-dir DIR)"
        )
    if given and command != "from":
        raise BadInput(f"tasks: --{next(iter(given))} is of from")
    if tasks_dir and not tasks_dir.is_dir():
        if command != "new":
            raise BadInput(f"--tasks-dir {tasks_dir}: there is no such folder")
        tasks_dir.mkdir(parents=True)
    own = OwnTasks(tasks_dir, load_sweep(sweep).data_entries if sweep else ())
    if not words:
        task_commands.list_tasks(own)
    elif command == "from":
        from harness.cli.from_file import describe

        describe(words[1], given, backbone, to)
    elif command == "new":
        task_commands.write_task(words[1], tasks_dir)
    elif command == "check":
        return task_commands.check(words[1], backbone, length, own)
    elif command == "export":
        if to is None:
            raise BadInput("tasks export: give the folder to write to: --to DIR")
        task_commands.export(words[1], backbone, to, length, seed, own)
    elif len(words) == 1 and words[0] not in COMMANDS:
        task_commands.show_card(words[0], backbone, own)
    else:
        raise BadInput(
            "tasks: expected no word, a task's NAME, or: new NAME, check NAME, export NAME, "
            "from FILE"
        )
    return 0
