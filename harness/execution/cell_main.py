"""One cell from start to end: load, train or probe, evaluate. Returns the content of its file.

A failure inside is an outcome like any other: what was known by then is kept beside its status.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

from harness.core.cell import LM_EVAL, Cell
from harness.core.errors import log_traceback, one_line
from harness.core.methods import TFIDF, ZERO_SHOT
from harness.core.result import (
    OK,
    CellResult,
    Cost,
    ErrorInfo,
    ModelInfo,
    Predictions,
    Scores,
    Seconds,
)
from harness.execution.cell_data import describe_data, read_data, read_test, unrelated_texts
from harness.execution.executor import Job
from harness.execution.ranks import run_in_ranks
from harness.kept.rules import Keeping
from harness.kept.save import Kept
from harness.lm_eval import extra_positions, run_evaluations
from harness.models.architectures import describe_dropout
from harness.models.backbones import RANDOM, Backbone, is_causal_lm
from harness.models.load import load_classifier, load_language_model, load_skeleton
from harness.models.sharded import shard
from harness.models.tokens import load_tokenizer, tokens_of
from harness.system.machine import describe_machine
from harness.training.batches import Encoded
from harness.training.checkpoint import Checkpoints
from harness.training.evaluate import evaluate, validation_scores
from harness.training.failures import status_of
from harness.training.frozen import share_states
from harness.training.further import at_other_lengths, by_evidence, on_unrelated_text
from harness.training.levers import describe_parameters, use_levers
from harness.training.loop import attention_kernel, train
from harness.training.meter import MemoryMeter, Stopwatch
from harness.training.methods import adapt, chunk_loss
from harness.training.timing import HereArm, Probe, Turns, in_rounds, phases_of
from tasks import OwnTasks, TaskMetadata
from tasks.types.base import Answered, Target


def run_job(job: Job) -> list[CellResult]:
    """Run a job in this process, with as many threads as the job says."""
    torch.set_num_threads(job.threads)
    if job.timed:
        return in_rounds([HereArm(probe_turns(c, job.backbone)) for c in job.cells], job.cells)
    return [_run_cell(cell, job) for cell in job.cells]


def _run_cell(cell: Cell, job: Job) -> CellResult:
    if cell.levers.devices == 1:
        return run_cell(cell, job.backbone, job.own_tasks, job.keeping)
    # Each process holds a part of the weights: nothing is kept.
    run = partial(run_cell, backbone=job.backbone, own_tasks=job.own_tasks)
    return run_in_ranks(cell, run)


def run_cell(
    cell: Cell,
    backbone: Backbone,
    own_tasks: OwnTasks | None = None,
    keeping: Keeping | None = None,
) -> CellResult:
    """Run one cell in this process and return its result, also when it fails."""
    if cell.kind == "probe":
        return in_rounds([HereArm(probe_turns(cell, backbone))], [cell])[0]
    meter = MemoryMeter(cell.device)
    watch = Stopwatch()
    result = _begun(cell, meter)
    kept = Kept(cell, keeping)
    with _recorded(result):
        if cell.method == TFIDF:
            _baseline(cell, backbone, result, watch, own_tasks)
        elif cell.task == LM_EVAL:
            _only_evaluated(cell, backbone, result, watch)
        else:
            _train(cell, backbone, result, watch, meter, own_tasks, keeping, kept)
    _add_cost(result, {"memory_note": meter.note or None})
    result.seconds = Seconds(**watch.seconds, wall=watch.wall)
    kept.finish(result)
    return result


def probe_turns(cell: Cell, backbone: Backbone) -> Turns:
    """Load the model of a probe, yield None, then do each turn that is sent and yield its reading.

    Its result has the time of its own turns; `in_rounds` adds the rounds.
    """
    meter = MemoryMeter(cell.device)
    watch = Stopwatch()
    result = _begun(cell, meter)
    with _recorded(result):
        model = _load(cell, backbone, None, result, watch, pad_token_id=0)
        with watch.phase("probe"):
            probe = Probe(model, cell)
            memory, result.timing = probe.prepare(meter)
            _add_cost(result, memory)
        turn = yield None
        while turn != "end":
            with watch.phase("probe"):
                reading = probe.timed(turn)
            turn = yield reading
        if "train" in phases_of(cell):
            _add_cost(result, {"train_peak_bytes": meter.peak()})
    _add_cost(result, {"memory_note": meter.note or None})
    result.seconds = Seconds(**watch.seconds, wall=sum(watch.seconds.values()))
    return result


def _begun(cell: Cell, meter: MemoryMeter) -> CellResult:
    machine = {**describe_machine(), "threads": torch.get_num_threads()}
    result = CellResult.begun(cell, machine)
    result.cost = Cost(base_bytes=meter.base)
    return result


@contextmanager
def _recorded(result: CellResult) -> Iterator[None]:
    """Set the status of a result. A failure inside is an outcome like any other.

    A traceback goes to standard error, which the executor sends to the cell's log.
    """
    cell = result.cell
    try:
        if cell.device == "cuda":
            result.environment.gpu = torch.cuda.get_device_name()
        _seed(cell.seed)
        yield
        result.status = OK
    except Exception as error:
        log_traceback()
        result.status = status_of(error)
        result.error = ErrorInfo(
            type=type(error).__name__, message=one_line(error), log=f"logs/{cell.id}.log"
        )


def _train(
    cell: Cell,
    backbone: Backbone,
    result: CellResult,
    watch: Stopwatch,
    meter: MemoryMeter,
    own_tasks: OwnTasks | None,
    keeping: Keeping | None,
    kept: Kept,
) -> None:
    with watch.phase("data"):
        tokenizer, metadata, (training, validation, test) = read_data(cell, backbone, own_tasks)
        result.data = describe_data(cell, training, test)
    model = _load(cell, backbone, metadata, result, watch, tokenizer.pad_token_id)
    pad_id = tokenizer.pad_token_id
    with watch.phase("data"):
        splits = (training, validation, test)
        shared = share_states(model, cell, backbone.pin, splits, pad_id)
    assert result.model is not None
    result.model.shared_blocks = shared
    if cell.method != ZERO_SHOT:
        checkpoints = None
        if keeping and keeping.checkpoint_seconds:
            checkpoints = Checkpoints(keeping.checkpoint(cell.id), keeping.checkpoint_seconds)
        outcome = train(model, cell, training, validation, pad_id, watch, meter, checkpoints)
        result.curve, result.scores = outcome.curve, outcome.scores
        if not shared:
            _add_cost(result, outcome.cost)
    if len(test):
        meter.reset()
        with watch.phase("eval"):
            seen = evaluate(model, cell, test, pad_id)
        rates = seen.rate.row("eval_tokens_per_s", steady=False)
        if not shared:
            _add_cost(result, {**rates, "eval_peak_bytes": meter.peak()})
        _score(result, cell, test, seen.answers)
    kept.save(model, backbone, metadata, tokenizer)
    _evaluations(cell, model, tokenizer, result, watch)
    with watch.phase("eval"):

        def test_at(there: Cell) -> Encoded:
            data = read_test(there, backbone, own_tasks)
            share_states(model, there, backbone.pin, [data], pad_id)
            return data

        unrelated = partial(unrelated_texts, cell, backbone, own_tasks)
        result.evaluations += [
            *on_unrelated_text(model, cell, unrelated, pad_id),
            *at_other_lengths(model, cell, test_at, pad_id),
        ]


def _only_evaluated(cell: Cell, backbone: Backbone, result: CellResult, watch: Stopwatch) -> None:
    tokenizer = load_tokenizer(backbone)
    model = _load(cell, backbone, None, result, watch, tokenizer.pad_token_id)
    _evaluations(cell, model, tokenizer, result, watch)


def _evaluations(
    cell: Cell, model: Any, tokenizer: Any, result: CellResult, watch: Stopwatch
) -> None:
    """Tasks of lm-eval on the model as it now is."""
    if not cell.evaluations:
        return
    model.eval()
    with watch.phase("eval"):
        result.evaluations += run_evaluations(
            model,
            tokenizer,
            cell.evaluations,
            cell.length,
            cell.evaluation_examples or 1,
            cell.batch_size,
            cell.evaluation_seconds or 1.0,
        )


def _baseline(
    cell: Cell, backbone: Backbone, result: CellResult, watch: Stopwatch, own_tasks: OwnTasks | None
) -> None:
    """TF-IDF and logistic regression on the same texts, cut where the backbone's are cut."""
    with watch.phase("data"):
        _, metadata, (training, validation, test) = read_data(cell, backbone, own_tasks, True)
        result.data = describe_data(cell, training, test)
    with watch.phase("train"):
        texts = validation.kept + test.kept
        kind = metadata.task_type
        answers = kind.baseline(Answered(training.kept, training.targets), texts, metadata)
    held = len(validation)
    known = validation_scores(answers[:held], validation)
    result.scores = Scores.model_validate({"metric": metadata.metric, **known})
    if len(test):
        _score(result, cell, test, answers[held:])


def _load(
    cell: Cell,
    backbone: Backbone,
    metadata: TaskMetadata | None,
    result: CellResult,
    watch: Stopwatch,
    pad_token_id: int | None,
) -> Any:
    with watch.phase("load"):
        model: Any
        if cell.uses_lm_head:
            with _drawn_on(cell.device, backbone):
                model = load_language_model(
                    backbone, cell.positions, cell.dropout, pad_token_id,
                    extra_positions(cell.evaluations), cell.levers, cell.device,
                )  # fmt: skip
        else:
            kind = metadata.task_type if metadata else None
            outputs = kind.head_size(metadata) if kind and metadata else 2
            words = (
                tokens_of(backbone, metadata.labels) if metadata and is_causal_lm(backbone) else ()
            )
            with _drawn_on(cell.device, backbone):
                model = load_classifier(
                    backbone, outputs, cell.positions, cell.dropout, pad_token_id, kind, words,
                    cell.levers, cell.device,
                )  # fmt: skip
        chunked = chunk_loss(model, cell)
        adapted = adapt(model, cell)
        use_levers(adapted.model, cell)
        model = adapted.model
        if cell.levers.devices > 1:
            shard(model, cell)
        model = model.to(cell.device)
        whole = model if cell.levers.devices == 1 else _one_block(cell, backbone)
        result.model = ModelInfo(
            sites=adapted.sites,
            links=adapted.links,
            **describe_parameters(model),
            attention=attention_kernel(whole, cell, int(model.config.vocab_size)),
            dropout=describe_dropout(model.config),
            lm_loss=("chunked" if chunked else "full") if cell.uses_lm_head else None,
            weights=backbone.stored_as,
            dtype="float32" if cell.compute_dtype == "float32" else "bfloat16 autocast",
            device=cell.device,
        )
    return model


def _one_block(cell: Cell, backbone: Backbone) -> Any:
    """A model with one block, which shows the attention kernel of a divided model."""
    with torch.random.fork_rng():
        return load_skeleton(
            backbone, cell.positions, cell.uses_lm_head, 1, cell.levers.attention, cell.device
        )


def _drawn_on(device: str, backbone: Backbone) -> AbstractContextManager[Any]:
    """Random weights are drawn on the device: a billion of them take ten seconds on one core."""
    return torch.device(device) if backbone.stored_as == RANDOM else nullcontext()


def _score(result: CellResult, cell: Cell, test: Encoded, answers: list[Target]) -> None:
    metadata, kind = test.metadata, test.metadata.task_type
    scores = kind.score(answers, test.targets, metadata)
    known = result.scores.model_dump(exclude_unset=True) if result.scores else {}
    result.scores = Scores.model_validate(known | scores)
    kept = kind.predictions(answers, test.targets, metadata)
    result.predictions = Predictions(ids=test.names, **kept)
    result.evaluations += by_evidence(cell, test, answers)


def _add_cost(result: CellResult, cost: dict[str, Any]) -> None:
    known = result.cost.model_dump(exclude_unset=True) if result.cost else {}
    result.cost = Cost.model_validate(known | cost)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
