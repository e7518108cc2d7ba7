"""Documents whose tables and figures come from published runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.folder import read_run, write_packed
from reports import published
from reports.sections.overview import answers, readme_table
from tests.reports.conftest import laptop_cells, write_run
from tests.reports.test_memory import probe as memory_probe
from tests.reports.test_use import CELLS

DOCUMENT = """# Mine
<!-- arms: published/mine -->
old
<!-- end -->
<!-- answers: published/mine -->
<!-- end -->
<!-- parts: published/mine -->
<!-- end -->
<!-- times: published/mine -->
<!-- end -->
<!-- use: published/mine -->
<!-- end -->
![Accuracy](published/mine/accuracy-length.png)
[Report](published/mine/index.html)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    trained = [cell for cell in laptop_cells() if cell["kind"] == "train"]
    run = write_run(tmp_path / "run", [*trained, *CELLS, memory_probe("full", None, 64)])
    write_packed(read_run(run), tmp_path / "published" / "mine")
    (tmp_path / "README.md").write_text(DOCUMENT)
    monkeypatch.setattr(published, "__file__", str(tmp_path / "reports" / "published.py"))
    return tmp_path


def test_one_command_writes_tables_figures_and_page(root: Path) -> None:
    document, folder = root / "README.md", root / "published" / "mine"
    assert published.main(["--check", str(document)]) == 1
    assert document.read_text() == DOCUMENT
    assert published.main([str(document)]) == 0
    text = document.read_text()
    assert readme_table(folder).strip() in text
    assert "\nold\n" not in text
    assert f"- {answers(folder)[0]}\n" in text
    assert "| Arm | Length | Live peak | Weights |" in text
    assert "| SSMLoRA 1 | Training step | 1.200 | 1.200 |" in text
    assert "| LoRA 1, merged | Decoding | 0.900 | 0.900 |" in text
    assert (folder / "accuracy-length.png").read_bytes()[:4] == b"\x89PNG"
    assert "<html" in (folder / "index.html").read_text()
    assert published.main(["--check", str(document)]) == 0


def test_a_document_without_tables_stays(root: Path) -> None:
    document = root / "other.md"
    document.write_text("# Other\n")
    assert published.main([str(document)]) == 0
    assert document.read_text() == "# Other\n"


def test_table_of_what_fits(root: Path) -> None:
    from harness.core.fits import Fit, Fits, Memory

    row = Fit(method="LoRA 1", lever="default", memory="24GiB", length=4096, positions=2048)
    fits = Fits(
        model="tiny", revision="r", memories=[Memory(name="24GiB", bytes=9, reserve_bytes=1)],
        task_type="lm", batch_size=1, dtype="float32", environment={"torch": "2.13"}, rows=[row],
    )  # fmt: skip
    (root / "published" / "fit.json").write_text(fits.model_dump_json())
    document = root / "fits.md"
    document.write_text("<!-- fits: published/fit.json -->\n<!-- end -->\n")
    assert published.main([str(document)]) == 0
    text = document.read_text()
    assert "| LoRA 1 | default | 4,096* |" in text
    assert "- \\* Beyond the 2,048 positions" in text
    assert published.main(["--check", str(document)]) == 0
