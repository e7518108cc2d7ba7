"""Methods that train prompts, in sweep files: their arms, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep

PROMPTS = "[prompt_tuning: {num_virtual_tokens: 8}, prefix_tuning: {num_virtual_tokens: 8}]"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A causal language model with 64 positions."""
    config = GPT2Config(vocab_size=60, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def planned(
    folder: Path, backbone: str, methods: str = PROMPTS, length: int = 16, more: str = ""
) -> list[Cell]:
    file = folder / "x.yaml"
    file.write_text(
        f"name: x\nbackbone: {backbone}\nmethods: {methods}\ncontrols: []\n"
        f"probe: {{lengths: [8, {length}]}}\n{more}"
    )
    return make_plan(load_sweep(file), file).cells


def test_their_rows_have_no_sites_and_no_invented_rank(tmp_path: Path, tiny: str) -> None:
    cells = planned(tmp_path, tiny)
    assert {cell.arm for cell in cells} == {
        "prompt_tuning num_virtual_tokens=8",
        "prefix_tuning num_virtual_tokens=8",
    }
    for cell in cells:
        empty = (cell.density, cell.placement, cell.rank, cell.alpha, cell.target)
        assert empty == (None,) * 5


def test_virtual_tokens_and_text_need_positions(tmp_path: Path, tiny: str) -> None:
    assert planned(tmp_path, tiny, length=56)
    with pytest.raises(BadInput, match=r"with 8 virtual and 57 other tokens: .* 64 positions"):
        planned(tmp_path, tiny, length=57)


REFUSED = {
    "match: parameters\n": "chooses ranks, and prompt_tuning has none",
    "levers: {checkpointing: full}\n": "levers.checkpointing: prefix_tuning puts its prefix",
}


@pytest.mark.parametrize("more", REFUSED)
def test_what_has_no_meaning_is_refused(more: str, tmp_path: Path, tiny: str) -> None:
    with pytest.raises(BadInput) as caught:
        planned(tmp_path, tiny, more=more)
    assert any(REFUSED[more] in line for line in caught.value.args)


def test_what_peft_cannot_do_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Unsupported model type for adaption prompt: 'bert'"):
        planned(tmp_path, "minilm", "[adaption_prompt: {adapter_len: 4, adapter_layers: 1}]")
