"""The real licence texts: what is kept, how they are dealt, and that nothing names the kind."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tasks import Splits, TaskError, load_task
from tasks.base import Example
from tasks.builtin.documents import licences
from tasks.builtin.documents.licences import KINDS, LABELS, LARGE, _deal, _files, _folder, read
from tasks.lib.duplicates import groups, near_duplicates

BODY = "You may use this work as you like. " * 20


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_task("licences").splits(128, seed=0)


def _document(header: str, body: str = BODY) -> str:
    return f"---\nkey: x\n{header}\n---\n\n{body}"


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("category: Permissive", "permissive"),
        ("category: Copyleft Limited\nnotes: |\n    category: Permissive", "copyleft"),
        ("category: Commercial", "proprietary"),
        ("category: Source-available", "restricted"),
        ("category: CLA", ""),
        ("short_name: no category", ""),
        ("category: Permissive\nis_deprecated: yes", ""),
        ("category: Permissive\nlanguage: de", ""),
    ],
)
def test_what_a_header_says(header: str, label: str) -> None:
    assert read(_document(header)) == ((label, " ".join(BODY.split())) if label else ("", ""))
    assert read(_document(header).replace("\n", "\r\n"))[0] == label


def test_what_is_left_out_and_what_stays_in_a_text() -> None:
    assert read(_document("category: Permissive", "You may use it.")) == ("", "")
    assert read(BODY) == ("", "")
    assert read("---\ncategory: Permissive\n") == ("", "")
    dashes = f"Part 1\n---\nPart 2\n{BODY}"
    assert read(_document("category: Permissive", dashes))[1].startswith("Part 1 --- Part 2 You")


def test_every_file_as_a_yaml_reader_sees_it(splits: Splits) -> None:
    kept = {e.id: (LABELS[e.label], e.text) for part in splits for e in part}
    wanted = {}
    for path in _files():
        text = f"{path.read_text(encoding='utf-8')}\n"
        _, header, body = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
        fields = yaml.safe_load(header)
        text = " ".join(body.split())
        english = fields.get("language", "en") == "en"
        if fields["category"] in KINDS and english and not fields.get("is_deprecated"):
            wanted[path.stem] = (KINDS[fields["category"]], text)
    assert kept == {name: pair for name, pair in wanted.items() if len(pair[1]) >= 500}


def test_counts(splits: Splits) -> None:
    counts = [Counter(LABELS[example.label] for example in part) for part in splits]
    assert counts == [
        {"permissive": 437, "copyleft": 269, "proprietary": 295, "restricted": 100},
        {"permissive": 65, "copyleft": 27, "proprietary": 76, "restricted": 12},
        {"permissive": 172, "copyleft": 104, "proprietary": 178, "restricted": 46},
    ]


def test_no_header_is_left(splits: Splits) -> None:
    texts = [example.text for part in splits for example in part]
    assert not any(re.search(r"\b(spdx_license_key|category|short_name): ", t) for t in texts)


def test_the_first_test_texts_are_independent(splits: Splits) -> None:
    texts = [example.text for example in splits.test]
    roots = groups(len(texts), near_duplicates(texts))
    assert len(set(roots[:180])) == 180


def test_groups_are_dealt_whole_and_large_ones_go_to_train() -> None:
    sizes = [LARGE + 1, *(i % 3 + 1 for i in range(900))]
    grouped = [[Example(f"{g}-{i}", f"x{g} {i}", 0) for i in range(n)] for g, n in enumerate(sizes)]
    parts = _deal([list(group) for group in grouped])
    sides = [{example.id.split("-")[0] for example in part} for part in parts]
    assert sum(map(len, sides)) == len(set.union(*sides)) == len(sizes)
    assert "0" in sides[0]
    assert [len(part) for part in parts][1:] == [
        pytest.approx(180, abs=2),
        pytest.approx(500, abs=2),
    ]


def test_the_seed_orders_the_training_texts_only() -> None:
    one, two = load_task("licences").splits(64, 1), load_task("licences").splits(512, 2)
    assert one.train != two.train
    assert sorted(one.train) == sorted(two.train)
    assert one[1:] == two[1:]


def test_a_damaged_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in _files():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(licences, "_folder", lambda: tmp_path)
    load_task("licences").prepare()
    (tmp_path / "mit.LICENSE").unlink()
    (tmp_path / "mit.LICENSE").write_text("changed", encoding="utf-8")
    with pytest.raises(TaskError, match=r"damaged or another version.*licensedcode-data==32\.1\.0"):
        load_task("licences").prepare()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"licensedcode-data==32\.1\.0.*make setup"):
        _folder()
