"""The section on kept models: a table of them, and the lines that load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.card import KeptModel
from harness.core.cell import Cell
from reports.page import build_report
from tests.reports.conftest import make_cell, write_run
from tests.reports.pages import Node, anchors, check_harmless, read, rows, section

pytestmark = pytest.mark.filterwarnings("error")


def keep(folder: Path, cell: dict[str, Any], **more: Any) -> str:
    """Keep a model of a cell; only its description is there."""
    place = folder / "kept" / str(cell["id"])
    place.mkdir(parents=True)
    settings = Cell.model_validate(cell["cell"])
    given = {
        "id": cell["id"], "form": "adapter", "rule": "best", "cell": settings,
        "metric": "accuracy", "score": 0.8, "validation_loss": 0.6, "bytes": 300 * 1024,
    }  # fmt: skip
    (place / "kept.json").write_text(KeptModel(**(given | more)).model_dump_json())
    (place / "README.md").write_text("card")
    return str(cell["id"])


def page(folder: Path, *cells: dict[str, Any]) -> Node:
    write_run(folder, cells)
    return read(build_report([folder], folder / "report"))


def test_models_and_the_lines_that_load_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs") / "mine"
    cells = [make_cell("ssmlora", 0.5), make_cell("lora"), make_cell("head", None)]
    kept = [keep(folder, cell) for cell in cells[:2]]
    kept.append(keep(folder, cells[2], form="head", score=None))
    root = page(folder, *cells)
    part = section(root, "kept")
    table = rows(part.all("table")[0])
    assert [row[1:4] for row in table[1:]] == [
        ["LoRA 1", "128", "0"], ["SSMLoRA 1/2", "128", "0"], ["Head only", "128", "0"],
    ]  # fmt: skip
    assert table[1][4:9] == ["accuracy", "0.800", "0.600", "adapter", "0.3 MiB"]
    assert table[3][5:8] == ["", "0.600", "classifier"]
    links = [a.attributes["href"] for a in part.all("a")]
    assert f"../kept/{kept[0]}/README.md" in links
    assert all((folder / "report" / link).resolve().is_file() for link in links)
    first, other = (pre.raw.splitlines() for pre in part.all("pre"))
    place = f'"runs/mine/kept/{kept[1]}"'
    assert first == [
        "from peft import PeftModel",
        "from harness.kept.load import base_model",
        f"model = PeftModel.from_pretrained(base_model({place}), {place})",
    ]
    assert other[-1] == f'model = trained_model("runs/mine/kept/{kept[2]}")'


def test_without_kept_models_there_is_no_section(tmp_path: Path) -> None:
    root = page(tmp_path, make_cell())
    assert "kept" not in anchors(root)


def test_hostile_descriptions_are_text(tmp_path: Path) -> None:
    cell = make_cell()
    cell["cell"] |= {"task": "<script>x</script>\x1b[2J", "options": {"<img src=x>": "</pre>"}}
    keep(tmp_path, cell, metric="<b>")
    broken = tmp_path / "kept" / "broken"
    broken.mkdir()
    (broken / "kept.json").write_text('{"form": "<script>"}')
    root = page(tmp_path, make_cell())
    check_harmless(root)
    part = section(root, "kept")
    assert "<script>x</script> [2J" in part.text
    assert "<img src=x>=</pre>" in part.text
    assert "kept models that cannot be used: broken (" in part.text
