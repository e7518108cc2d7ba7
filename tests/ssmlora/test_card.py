"""The model card of a saved adapter holds code that loads it in a new process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import bert, randomise, tokens

ROOT = Path(__file__).parents[2]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path, Any]:
    """A folder of the base model, one of the adapter, and the adapted model."""
    base = bert().float()
    base.save_pretrained(tmp_path / "base")
    model: Any = get_peft_model(base, SSMLoraConfig(r=4, task_type="SEQ_CLS")).eval()
    randomise(model)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "base", tmp_path / "adapter", model


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)


def code(card: Path, base: Path, adapter: Path) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
    return str(found).replace("BASE_MODEL", str(base)).replace("ADAPTER", str(adapter))


def test_the_code_of_the_card_loads_the_adapter(saved: tuple[Path, Path, Any]) -> None:
    """Without its `import ssmlora` the code fails, so card and README must ask for the import."""
    base, adapter, model = saved
    program = code(adapter / "README.md", base, adapter)
    *lines, load = [line for line in program.splitlines() if "ssmlora" not in line]
    attempt = f"try:\n    {load}\nexcept KeyError as error:\n    print(error)"
    answer = f"import torch\nids = torch.tensor({tokens().tolist()})\n"
    answer += "print(model.eval()(input_ids=ids).logits.tolist())"
    done = run("\n".join([*lines, attempt, program, answer]))
    assert done.returncode == 0, done.stderr[-2000:]
    error, logits = done.stdout.splitlines()
    assert error == "'SSMLORA'"
    with torch.no_grad():
        expected = model(input_ids=tokens()).logits
    assert torch.allclose(torch.tensor(json.loads(logits)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("task_type", "auto"), [("CAUSAL_LM", "AutoModelForCausalLM"), (None, "AutoModel")]
)
def test_the_base_models_class_follows_the_task(
    task_type: str | None, auto: str, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("---\nlibrary_name: peft\n---\n# Mine\n")
    config = SSMLoraConfig(task_type=task_type)
    config.save_pretrained(str(tmp_path))
    card = (tmp_path / "README.md").read_text()
    assert f"import {auto}\n" in card
    assert card.startswith("---\nlibrary_name: peft\n---\n# Mine\n")
    config.save_pretrained(str(tmp_path))
    assert (tmp_path / "README.md").read_text() == card  # once


def test_the_card_of_an_adapter_with_a_name(tmp_path: Path) -> None:
    model = get_peft_model(bert(), SSMLoraConfig(), adapter_name="mine")
    model.save_pretrained(tmp_path)
    assert "import ssmlora" in (tmp_path / "README.md").read_text()
    assert not (tmp_path / "mine" / "README.md").exists()


def test_other_files_and_other_methods_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My repository\n")
    SSMLoraConfig().save_pretrained(str(tmp_path))
    assert (tmp_path / "README.md").read_text() == "# My repository\n"
    get_peft_model(bert(), LoraConfig(target_modules=["query"])).save_pretrained(tmp_path / "lora")
    assert "ssmlora" not in (tmp_path / "lora" / "README.md").read_text()
