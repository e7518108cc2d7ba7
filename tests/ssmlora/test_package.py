"""What the package needs, and what importing it does to PEFT."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from peft import PeftConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTuner

import ssmlora
from ssmlora import SSMLoraConfig, SSMLoraModel
from ssmlora.register import register

FOLDER = Path(ssmlora.__file__).parent
LATER = {"huggingface_hub"}  # inside a function, and brought by PEFT


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_torch_and_peft_are_all_it_imports() -> None:
    names = set.union(*(imported(ast.parse(path.read_text())) for path in FOLDER.glob("*.py")))
    assert names - set(sys.stdlib_module_names) == {"torch", "peft", "ssmlora"} | LATER


def test_the_benchmark_can_be_missing() -> None:
    """In a process where nothing but what PEFT itself imports can be imported."""
    program = (
        "import sys, peft, torch\n"
        "class Closed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] not in {'ssmlora'} | set(sys.stdlib_module_names):\n"
        "            raise ImportError('not installed: ' + name)\n"
        "sys.meta_path.insert(0, Closed())\n"
        "before = set(sys.modules)\n"
        "import ssmlora\n"
        "print(sorted(m for m in set(sys.modules) - before if m.partition('.')[0] != 'ssmlora'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=FOLDER.parent
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_module_imports_itself_in_a_circle(path: Path) -> None:
    seen: set[Path] = set()
    queue = [path]
    while queue:
        tree = ast.parse(queue.pop().read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ssmlora."):
                target = FOLDER / f"{(node.module or '').rpartition('.')[2]}.py"
                if target not in seen:
                    seen.add(target)
                    queue.append(target)
    assert path not in seen


def test_peft_knows_the_method() -> None:
    assert PeftType("SSMLORA") is PeftType.SSMLORA  # type: ignore[attr-defined]
    assert PEFT_TYPE_TO_CONFIG_MAPPING["SSMLORA"] is SSMLoraConfig
    assert isinstance(PeftConfig.from_peft_type(peft_type="SSMLORA", r=3), SSMLoraConfig)
    importlib.reload(ssmlora)  # registers once


def test_a_peft_without_the_hook_for_checkpoints_is_refused(monkeypatch: Any) -> None:
    monkeypatch.delattr(BaseTuner, "_remap_adapter_state_dict_for_load")
    with pytest.raises(ImportError, match=r"needs PEFT 0\.21 or later"):
        importlib.reload(ssmlora)


def test_a_peft_with_a_method_of_that_name_is_refused() -> None:
    class Other(PeftConfig):
        """What another PEFT might bring."""

    with pytest.raises(ImportError, match="brings its own SSMLORA"):
        register(Other, SSMLoraModel)
