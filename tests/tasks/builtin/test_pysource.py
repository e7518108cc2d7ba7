"""What is stripped from a module, and (slow) the real packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tasks import Example, Splits, TaskError, load_task
from tasks.builtin.documents import pysource
from tasks.builtin.documents.frozen import freeze
from tasks.builtin.documents.pysource import PACKAGES, PySource, _read, strip
from tasks.lib.content import splits_digest

SOURCE = '''#!/usr/bin/env python
# Licence: of numpy
"""Docstring of the module
over two lines."""
import numpy as np, os
from torch import (
    nn,  # a comment
)
__all__ = ["a"]  # exported
"""A free string."""

class A(nn.Module):
    r"""Docstring with a # in it."""

    url = "http://x/#part"  # real comment
    text = \'\'\'kept # not a comment
    second line\'\'\'

    def f(self, x):
        \'docstring\'
        import pandas as pd
        try:
            from sklearn import svm
        except ImportError:
            svm = None
        with open(x) as y:
            import sympy
        match x:
            case 1:
                import networkx
        return np.sum(x) + torch.ones(1) + is_torch_available() + pd.DataFrame()
'''
LEFT = """__all__ = ["a"]
class A(nn.Module):
    url = "http://x/#part"
    text = \'\'\'kept # not a comment
    second line\'\'\'
    def f(self, x):
        try:
        except ImportError:
            svm = None
        with open(x) as y:
        match x:
            case 1:
        return .sum(x) + .ones(1) + is__available() + .DataFrame()"""


def test_what_is_stripped_from_a_module() -> None:
    assert strip(SOURCE) == LEFT
    assert strip(SOURCE.replace("\n", "\r\n")) == LEFT


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("NumPy = PandasArray = TorchTensor", " = Array = Tensor"),
        ("NetworkXError, scikit_learn, SKLEARN_X", "Error, , _X"),
        ("mpl_toolkits, plt.plot, nx.Graph, np_dtype", "_toolkits, .plot, .Graph, _dtype"),
        ("sample_weight, learning_rate, implement", "sample_weight, learning_rate, implement"),
        ("Transformer, transform, inp, npy, expand", "Transformer, transform, inp, npy, expand"),
    ],
)
def test_names_of_packages(line: str, left: str) -> None:
    assert strip(line) == left


def test_odd_but_valid_modules() -> None:
    assert strip("") == ""
    assert strip("x = 'a' 'b'  # c") == "x = 'a' 'b'"
    assert strip("x = 'it\\'s # in'  # out") == "x = 'it\\'s # in'"
    assert strip('x = """a"b # c"""') == 'x = """a"b # c"""'
    assert strip("x = f'{y!r:#x}'") == "x = f'{y!r:#x}'"


@pytest.mark.parametrize(
    "content",
    [
        b"def f(:\n" + b"x = 1\n" * 1000,
        b"x = '\xff\xfe'\n" * 1000,
        b"x = 1\0\n" * 1000,
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = 1\n",
        b"# only comments\n" * 1000,
        b'x = """open' + b" " * 5000,
    ],
)
def test_modules_that_are_left_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.py"
    path.write_bytes(content)
    assert _read(path) == ""
    assert _read(tmp_path / "none.py") == ""


def test_a_long_module_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("value = 1\n" * 50_000, encoding="utf-8")
    assert len(_read(path)) == pysource.LONGEST


def test_nothing_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("raise SystemExit('run')\n" + "x = 1\n" * 1000, encoding="utf-8")
    assert "SystemExit" in _read(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pysource.package_folder
    monkeypatch.setattr(
        pysource,
        "package_folder",
        lambda name: None if name in {"sympy", "sklearn"} else real(name),
    )
    with pytest.raises(TaskError, match="sympy, scikit-learn"):
        load_task("pysource").prepare()


def test_the_revision_names_the_versions() -> None:
    revision = load_task("pysource").metadata.revision
    assert all(f"{name}=" in revision for name in PACKAGES)
    assert "missing" not in revision


def test_finding_the_packages_imports_none() -> None:
    code = (
        "import sys; from tasks.builtin.documents.pysource import PACKAGES, package_folder\n"
        "assert all(package_folder(name) for name in PACKAGES)\n"
        "print(sorted(set(PACKAGES) & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def real() -> Splits:
    return load_task("pysource").splits(2048, seed=0)


@pytest.mark.slow
def test_there_is_enough_of_each(real: Splits) -> None:
    for part, least in zip(real, (100, 10, 20), strict=True):
        counts = Counter(example.label for example in part)
        assert min(counts[label] for label in range(8)) >= least
    assert len(real.train) > 2500
    assert len(real.test) > 1000


@pytest.mark.slow
def test_folders_are_on_one_side(real: Splits) -> None:
    sides = [{e.id.rpartition("/")[0] for e in part} for part in real]
    assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.slow
def test_nothing_names_the_package(real: Splits) -> None:
    telling = 0
    for example in (example for part in real for example in part):
        assert 3072 <= len(example.text) <= pysource.LONGEST
        assert not any(name in example.text.lower() for name in PACKAGES)
        lines = example.text.split("\n")
        telling += any(line.startswith(("import ", "from ", "#")) for line in lines)
    # Some modules hold code in strings, which stay; the names in it are gone like the others.
    assert telling < 0.02 * sum(map(len, real))


@pytest.mark.slow
def test_labels_are_the_packages(real: Splits) -> None:
    names = list(PACKAGES)
    assert all(e.id.split("/")[0] == names[e.label] for part in real for e in part)


@pytest.mark.slow
def test_modules_are_still_the_modules(real: Splits) -> None:
    root = pysource.package_folder("torch")
    assert root is not None
    for example in real.test[:50]:
        source = (root.parent / example.id).read_text(encoding="utf-8")
        assert ast.parse(source)
        lines = set(pysource._NAMES.sub("", source).split("\n"))
        kept = [line for line in example.text.split("\n")[:-1] if line in lines]
        assert len(kept) > 0.8 * (example.text.count("\n") - 1)


def test_frozen_examples_have_the_version_of_the_packages_that_they_were_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = Splits(*([Example(f"{part}.py", "x = 1\n", 3)] for part in Splits._fields))
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pysource, "_build", lambda: splits)
    monkeypatch.setattr(pysource, "_TESTED", splits_digest(splits))
    task = load_task("pysource")
    there = tmp_path / "frozen"
    task.freeze(there)  # type: ignore[attr-defined]
    tested = task.version()
    # A machine with other packages.
    other = task.metadata.model_copy(update={"revision": "torch=0,sympy=missing"})
    monkeypatch.setattr(PySource, "metadata", other)
    monkeypatch.setattr(pysource, "_build", lambda: Splits([], [], []))
    assert task.version().startswith("torch=0,sympy=missing,content:")
    monkeypatch.setenv("BENCH_LONG_FROZEN", str(there))
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "other cache"))
    monkeypatch.setattr(pysource, "package_folder", lambda _: None)
    task.prepare()
    assert task.version() == tested
    assert task.splits(256, 0) == splits
    assert load_task("pysource_lm").version() == f"{tested},lm"


def test_a_damaged_frozen_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = Splits([Example("a", "x", 0)], [], [])
    monkeypatch.setenv("BENCH_LONG_FROZEN", str(tmp_path))
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    path = freeze("pysource", "v", splits, tmp_path)
    with pytest.raises(TaskError, match="the digest of its examples is"):
        load_task("pysource").version()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TaskError, match=r"pysource: .*pysource.jsonl.xz .*cannot be used"):
        load_task("pysource").version()
