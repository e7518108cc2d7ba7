"""Cells that read stored states and texts have the outcome of cells that compute them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import FNetConfig

from harness.core.cell import Cell
from harness.core.result import CellResult
from harness.execution.cell_main import run_cell
from harness.models.backbones import Backbone, find_backbone
from harness.models.heads import Classifier
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer
from harness.system.scratch import RUN
from harness.training import frozen
from harness.training.batches import Encoded, encode, padded
from harness.training.frozen import share_states
from harness.training.methods import adapt
from tasks import Example, load_task
from tests.harness.tiny_backbones import SIZES, save

FIELDS: dict[str, Any] = {
    "kind": "train", "task": "newsgroups", "backbone": "minilm", "method": "lora", "density": 0.5,
    "placement": "last", "rank": 4, "alpha": 8.0, "target": "attention", "length": 24, "seed": 0,
    "lr": 3e-3, "batch_size": 4, "examples": 8, "validation_examples": 6, "test_examples": 6,
    "epochs": 2, "validations": 1, "dtype": "float32", "device": "cpu",
}  # fmt: skip


def cell(**changes: Any) -> Cell:
    return Cell(**{**FIELDS, **changes})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the store of a run."""
    folder = tmp_path / f"{RUN}abcdefgh"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder / "shared"


@pytest.fixture(scope="module")
def minilm() -> Backbone:
    return find_backbone("minilm")


def model_and_texts(
    backbone: Backbone, asked: Cell | None, texts: int = 12
) -> tuple[Any, Encoded, int]:
    """An adapted model (None: only its head is trained) and encoded texts of several lengths."""
    task, tokenizer = load_task("newsgroups"), load_tokenizer(backbone)
    examples = [
        Example(f"e{i}", " ".join(["one", "two", "six", "ten"][: 1 + i % 4]), i % 2)
        for i in range(texts)
    ]
    data = encode(examples, tokenizer, 24, task.metadata)
    pad_id: Any = tokenizer.pad_token_id
    torch.manual_seed(0)
    model = load_classifier(backbone, 4, 24, 0.0, pad_id)
    if asked is not None:
        return adapt(model, asked).model, data, pad_id
    model.encoder.requires_grad_(False)
    return model, data, pad_id


def logits(model: Any, data: Encoded, pad_id: int) -> torch.Tensor:
    with torch.inference_mode():
        batches = padded(data, range(len(data)), 5, pad_id)
        return torch.cat([model.eval()(**inputs).logits for _, inputs, _ in batches])


ON_SITES = ("density", "placement", "rank", "alpha", "target")


@pytest.mark.parametrize(
    ("method", "blocks"),
    [pytest.param("lora", 3, marks=pytest.mark.slow), ("ssmlora", 3), ("head", 6)],
)
def test_outcomes_are_the_same(
    method: str, blocks: int, minilm: Backbone, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = dict.fromkeys(ON_SITES) if method == "head" else {}

    def outcome() -> CellResult:
        result = run_cell(cell(method=method, **without), minilm)
        assert result.ok, result.error
        return result

    first, second = outcome(), outcome()
    monkeypatch.setattr(tempfile, "tempdir", str(run.parent.parent))
    plain = outcome()
    assert plain.model is not None
    assert plain.scores is not None
    assert plain.predictions is not None
    assert plain.model.shared_blocks == 0
    for shared in (first, second):
        assert shared.model is not None
        assert shared.model.shared_blocks == blocks
        for point, expected in zip(shared.curve, plain.curve, strict=True):
            assert point.validation_loss == pytest.approx(expected.validation_loss, abs=1e-5)
            assert point.train_loss == pytest.approx(expected.train_loss, abs=1e-5)
        assert shared.predictions == plain.predictions
        assert shared.scores is not None
        assert shared.scores.score == plain.scores.score
        assert shared.data == plain.data
        assert shared.cost is not None
        assert shared.cost.train_tokens_per_s is shared.cost.eval_peak_bytes is None
    assert plain.cost is not None
    assert plain.cost.train_tokens_per_s


def test_the_head_alone_reads_one_vector_for_each_text(minilm: Backbone, run: Path) -> None:
    model, data, pad_id = model_and_texts(minilm, None)
    plain = logits(model, data, pad_id)
    assert share_states(model, cell(), minilm.pin, [data], pad_id) == 6
    (file,) = run.glob("states-*[0-9a-f]")
    assert file.stat().st_size == len(data) * 384 * 4
    runs: list[None] = []
    model.encoder.register_forward_pre_hook(lambda *_: runs.append(None))
    torch.testing.assert_close(logits(model, data, pad_id), plain, rtol=0, atol=1e-5)
    assert not runs


def test_shared_blocks_are_not_run(minilm: Backbone, run: Path) -> None:
    model, data, pad_id = model_and_texts(minilm, cell())
    assert share_states(model, cell(), minilm.pin, [data], pad_id) == 3
    runs: list[int] = []
    inner: Classifier = model.get_base_model()
    for number, block in enumerate(inner.encoder.encoder.layer):
        block.attention.register_forward_pre_hook(lambda *_, n=number: runs.append(n))
    logits(model, data, pad_id)
    assert {*runs} == {3, 4, 5}
    data.states = None
    logits(model, data, pad_id)
    assert {*runs} == {*range(6)}


@pytest.mark.parametrize(
    "changes", [{"dropout": 0.1}, {"dtype": "bfloat16"}, {"placement": "first"}]
)
def test_inexact_or_needless_states_are_not_shared(
    changes: dict[str, Any], minilm: Backbone, run: Path
) -> None:
    model, data, pad_id = model_and_texts(minilm, cell(**changes))
    assert share_states(model, cell(**changes), minilm.pin, [data], pad_id) == 0
    assert data.states is None
    assert not list(run.glob("states-*"))


def test_states_that_depend_on_padding_are_not_shared(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FNet mixes all tokens of a batch's row, padding too."""
    folder = save(FNetConfig(**SIZES), tmp_path / "fnet")
    backbone = Backbone("fnet", folder, "1")
    model, data, pad_id = model_and_texts(backbone, None)
    torch.nn.init.normal_(model.classifier.weight)  # tiny weights would hide it
    assert share_states(model, cell(), backbone.pin, [data], pad_id) == 0
    assert data.states is None
    assert "states are not shared: the logits" in capsys.readouterr().err


def test_other_texts_weights_or_blocks_have_other_states(minilm: Backbone, run: Path) -> None:
    def files(asked: Cell, pin: str, texts: int) -> int:
        model, data, pad_id = model_and_texts(minilm, asked, texts)
        assert share_states(model, asked, pin, [data], pad_id)
        return len([*run.glob("states-*[0-9a-f]")])

    assert files(cell(), minilm.pin, 4) == 1
    assert files(cell(method="ssmlora", lr=1e-4), minilm.pin, 4) == 1
    assert files(cell(), "other weights", 4) == 2
    assert files(cell(density=1 / 6), minilm.pin, 4) == 3
    assert files(cell(), minilm.pin, 5) == 4


def test_a_full_store_shares_nothing(
    minilm: Backbone, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "run_store", lambda: frozen.Store(run, most_bytes=1000))
    run.mkdir()
    model, data, pad_id = model_and_texts(minilm, cell())
    assert share_states(model, cell(), minilm.pin, [data], pad_id) == 0
    assert data.states is None


def test_texts_are_encoded_once(
    minilm: Backbone, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, tokenizer = load_task("newsgroups"), load_tokenizer(minilm)
    examples = [Example("a", "One text.", 0), Example("b", "Another,\nlonger text.", 1)]

    def encoded(length: int = 8) -> Encoded:
        return encode(examples, tokenizer, length, task.metadata, keep_text=True)

    first, second = encoded(), encoded()
    calls: list[None] = []
    kind = type(task.metadata.task_type)
    plain = kind.encode
    monkeypatch.setattr(kind, "encode", lambda *a: calls.append(None) or plain(*a))
    third = encoded()
    assert not calls
    for other in (second, third):
        assert [*other.ids] == [*first.ids]
        assert (other.kept, other.targets, other.names) == (first.kept, first.targets, first.names)
        assert (other.truncated, other.starts) == (first.truncated, first.starts)
    encoded(6)
    examples[0] = Example("a", "One changed text.", 0)
    encoded()
    assert len(calls) == 2
