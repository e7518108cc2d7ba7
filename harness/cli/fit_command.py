"""`bench-long fit`: the longest context that fits, from dry runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from harness.core.errors import BadInput, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from harness.core.fits import Fits, Memory
    from harness.costs.fit_table import Question
    from harness.models.backbones import Backbone

METHODS = ("full", "lora: {density: [1, 0.5]}", "ssmlora: {density: [1, 0.5]}", "head")
"""Methods without `--method`; a language model has no head."""

_LM = "lm"
_LEAST_RESERVE = 2**30


@click.command()
@click.option(
    "--model",
    required=True,
    help="Embedded, shipped configuration, folder, hub name, or a config.json.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="ENTRY",
    help="As under `methods` of a sweep: lora, 'lora: {density: 0.5}'. May be repeated.",
)
@click.option(
    "--memory",
    required=True,
    multiple=True,
    metavar="DEVICE|SIZE",
    help="Such as h100 or 24GiB. May be repeated.",
)
@click.option(
    "--reserve",
    metavar="SIZE|SHARE",
    help="What tensors cannot have, such as 2GiB or 8% (default: 5 %, at least 1 GiB).",
)
@click.option("--length", type=click.IntRange(8, 2**20), help="Live bytes at this length instead.")
@click.option(
    "--task-type",
    type=click.Choice(["classification", _LM]),
    help="Default: lm if the model is a causal language model.",
)
@click.option("--batch-size", type=click.IntRange(1, 65536), default=1, show_default=True)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="bfloat16",
    show_default=True,
    help="Of the computation.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="Folder for files.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes (default: one per core).")
def fit(
    model: str,
    methods: tuple[str, ...],
    memory: tuple[str, ...],
    reserve: str | None,
    length: int | None,
    task_type: str | None,
    batch_size: int,
    dtype: Literal["float32", "bfloat16"],
    to: Path | None,
    workers: int | None,
) -> None:
    """Find the longest context that fits into a memory, for each method with each lever."""
    from harness.cli.console import coloured, make_console
    from harness.core.fits import Fits
    from harness.costs.fit_table import answers
    from harness.models.backbones import is_causal_lm
    from harness.system.machine import describe_machine
    from harness.system.resources import available_cores

    memories = [_memory(text, reserve) for text in memory]
    backbone = _backbone(model)
    causal = is_causal_lm(backbone, "--model")
    if task_type == _LM and not causal:
        raise BadInput(f"--task-type: '{model}' is not a causal language model: use classification")
    task_type = task_type or (_LM if causal else "classification")
    questions = [
        *_questions(methods or METHODS, backbone, memories, length, task_type, batch_size, dtype)
    ]
    rows = []
    with make_console(stderr=True).status("dry runs") as status:
        for place, found in enumerate(answers(questions, backbone, workers or available_cores())):
            rows += found
            status.update(f"dry runs: {place + 1} of {len(questions)} methods and levers")
    seen = describe_machine()
    fits = Fits(
        model=backbone.name,
        revision=backbone.pin,
        memories=memories,
        task_type=task_type,
        batch_size=batch_size,
        dtype=dtype,
        length=length,
        environment={name: seen.get(name) for name in ("commit", "torch", "transformers", "peft")},
        rows=rows,
    )
    console = make_console()
    _show(fits, console)
    for path in _written(fits, to) if to else ():
        console.print(coloured(f"written: {path}"), soft_wrap=True)


def _questions(
    entries: Sequence[str],
    backbone: Backbone,
    memories: Sequence[Memory],
    length: int | None,
    task_type: str,
    batch_size: int,
    dtype: Literal["float32", "bfloat16"],
) -> Iterator[Question]:
    """Yield a question for each method with each lever, which are read as those of a sweep."""
    from pydantic import ValidationError

    from harness.core.cell import Cell
    from harness.costs.fit_table import Question
    from harness.planning.arms import arms, check_method
    from harness.planning.controls import methods_of
    from harness.planning.sweep import Sweep
    from harness.planning.validation import explain
    from harness.planning.yaml_files import parse_yaml

    data = {
        "name": "fit",
        "backbone": backbone.name,
        "methods": [parse_yaml(entry, f"--method {entry}") for entry in entries],
        "controls": [],
        "probe": {"lengths": [length or 8]},
    }
    try:
        sweep = Sweep.model_validate(data)
    except ValidationError as error:
        raise explain(error, Sweep, "fit") from None
    for method in sweep.methods:
        check_method(method, f"--method {method.type}")
    for method in methods_of(sweep, task_type != _LM):
        for arm in arms(method):
            cell = Cell(
                **arm,
                kind="probe",
                task=None,
                backbone=backbone.name,
                length=length or 8,
                seed=0,
                batch_size=batch_size,
                dtype=dtype,
                device="cpu",
                uses_lm_head=task_type == _LM,
                lm_loss="chunked" if task_type == _LM else None,
            )
            yield Question(cell.arm, "default", cell, memories, length)


def _memory(text: str, reserve: str | None) -> Memory:
    """Read a size of memory and what is kept of it."""
    from harness.core.fits import Memory
    from harness.costs.devices import find_device

    size = find_device(text, "--memory").memory_bytes
    if reserve is None:
        kept = max(_LEAST_RESERVE, size // 20)
    elif reserve.endswith("%"):
        kept = int(size * _share(reserve))
    else:
        kept = find_device(reserve, "--reserve").memory_bytes
    if kept >= size:
        raise BadInput(f"--reserve: nothing is left of {text}: give less, such as 5%")
    return Memory(name=text, bytes=size, reserve_bytes=kept)


def _share(text: str) -> float:
    from harness.planning.yaml_files import number_in

    number = number_in(text.removesuffix("%"))
    if number is None or number < 0:
        raise BadInput(f"--reserve: '{text:.40}' is no share: give one such as 5%")
    return number / 100


def _backbone(model: str) -> Backbone:
    """Find a backbone; of a shipped configuration or a config.json, only its shape is known."""
    from harness.costs.configurations import find_configuration, shipped_configurations
    from harness.models.backbones import EMBEDDED, find_backbone

    shipped = shipped_configurations()
    path = Path(model).expanduser()
    folder = path.parent if path.name == "config.json" else path
    shape = (folder / "config.json").is_file() and not [*folder.glob("*.safetensors*")]
    if model in shipped or shape:
        return find_configuration(model, "--model")
    if "/" not in model and model not in EMBEDDED and not path.is_dir():
        known = [*EMBEDDED, *shipped]
        raise BadInput(
            f"--model: '{model:.80}' is no embedded backbone, shipped configuration, folder or "
            f"config.json.{nearest(model, known)}"
        )
    return find_backbone(model, "--model")


def _show(fits: Fits, console: Console) -> None:
    from rich.table import Table

    from harness.cli.console import coloured

    head, *rows = fits.table()
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place < 2 else "right")
    for row in rows:
        table.add_row(*map(coloured, row))
    console.print(table)
    for line in fits.notes():
        console.print(coloured(line), soft_wrap=True)


def _written(fits: Fits, to: Path) -> Iterator[Path]:
    """Write the table as JSON and CSV, and its figure; yield the paths."""
    from harness.core.folder import write_atomically
    from reports.style import as_png

    to.mkdir(parents=True, exist_ok=True)
    files = {"fit.json": fits.model_dump_json(indent=1) + "\n", "fit.csv": fits.csv()}
    for name, text in files.items():
        write_atomically(to / name, text)
        yield to / name
    if fits.length is None:
        from harness.cli.fit_figure import draw

        write_atomically(to / "longest-context.png", as_png(draw(fits)))
        yield to / "longest-context.png"
