"""Every kind of bad input: exit 2, one line that names the place, no traceback, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.errors import log_traceback
from tests.harness.conftest import TINY


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    # What is prepared for the first time says so in a line of its own, without this prefix.
    lines = [line for line in captured.err.splitlines() if line.startswith("bench-long: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


CHANGES = {
    "unknown key": ("seeds: [0]\nlenghts: [64]", "lenghts: unknown key. Did you mean 'lengths'?"),
    "unknown key below": (
        "seeds: [0]\nlimits: {cell_second: 3}",
        "Did you mean 'limits.cell_seconds'?",
    ),
    "negative length": ("seeds: [0]\nprobe: {lengths: [-5]}", "greater than or equal to 8"),
    "absurd length": ("probe: {lengths: [99999999999]}", "less than or equal to 1048576"),
    "length as text": ("probe: {lengths: [many]}", "valid integer"),
    "length as truth": ("probe: {lengths: [true]}", "valid integer"),
    "a method without a name": ("probe: {lengths: [64], steps: 0}", "probe.steps"),
    "python tag": ("seeds: !!python/object/apply:os.system ['echo']", "only plain YAML data"),
    "plain tag": ("seeds: !!int abc", "only plain YAML data"),
    "alias": ("seeds: &a [*a]", "the alias *a is refused"),
    "a list for a key": ("? [a, b]\n: 1", "a key must be one word"),
    "a date": ("seeds: [2020-01-01]", "seeds.0: input should be a valid integer"),
    "digits with underscores": ("probe: {lengths: [1_024]}", "valid integer"),
    "a rate at the top": ("lr: 1e-3", "lr: unknown key. Did you mean 'train.lr'?"),
    "PEFT's key": ("probe: {lengths: [64], learning_rate: 1e-3}", "Did you mean 'train.lr'?"),
    "a setting of a method": ("rank: 8", "Did you mean 'methods.<method>.rank'?"),
    "a number as a name": ("dtype: 16", "dtype"),
    "a number of 5000 digits": (f"seeds: [{'9' * 5000}]", "not readable as YAML"),
    "nested deeply": (f"seeds: {'[' * 3000}", "nested too deeply"),
    "a key with a line end": ('"a\\nb\\e[31m": 1', "a\\nb\\x1b[31m: unknown key"),
    "a list for keys": ("limits: [1]", "limits: expected keys and values: cell_seconds, cell_gib"),
    "truth as a number": ("limits: {cell_seconds: true}", "cell_seconds: expected a number"),
    "a seed of 5000 hexadecimal digits": (f"seeds: [0x{'f' * 5000}]", "of 5002 digits is refused"),
    "an option of 9000 octal digits": (f"seeds: [0o{'7' * 9000}]", "of 9002 digits is refused"),
    "a number with an underscore": ("limits: {cell_seconds: 1_000}", "found '1_000'"),
    "minutes and seconds": ("limits: {cell_seconds: 1:30}", "cell_seconds: expected a number"),
    "yes as a number": ("limits: {cell_seconds: yes}", "cell_seconds: expected a number"),
    "infinity in words": ("limits: {cell_seconds: infinity}", "cell_seconds: expected a number"),
    "more than a float holds": ("limits: {cell_seconds: 1e400}", "finite number"),
    "length as a float": ("probe: {lengths: [1e2]}", "valid integer (found 100.0)"),
    "a length twice": ("probe: {lengths: [64, 0064]}", "probe.lengths: duplicate value: 64"),
    "a lone surrogate": ('device: "\\ud800"', "lone surrogate"),
    "endless": ("limits: {cell_gib: .inf}", "limits.cell_gib: input should be a finite number"),
    "more than any machine": ("limits: {cell_gib: 1.0e+300}", "less than or equal to 1048576"),
    "key twice": ("name: again", "duplicate key 'name'"),
    "not yaml": ("seeds: [0", "not readable as YAML"),
    "seed twice": ("seeds: [1, 1]", "duplicate value: 1"),
    "negative seed": ("seeds: [-1]", "greater than or equal to 0"),
    "infinite rate": ("probe: {lengths: [64]}\nlimits: {cell_seconds: -1}", "limits.cell_seconds"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_bad_keys(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, expected = CHANGES[case]
    path = tmp_path / "bad.yaml"
    path.write_text(TINY + text + "\n")
    message = refused(capsys, "run", path, "--out", tmp_path / "out")
    assert expected in message
    assert str(path) in message
    assert not (tmp_path / "out").exists()


REPLACED = {
    "method": ("lora: {density: 0.5}", "lorra: {density: 0.5}", "Did you mean 'lora'?"),
    "a method's other name": ("lora: {density: 0.5}", "dora", "'lora: {use_dora: true}'?"),
    "PEFT's rank": ("density: 0.5", "r: 4", "set by the sweep's own keys: use rank"),
    "a trainer's rate": ("density: 0.5", "learning_rate: 1e-3", "Did you mean 'lr'?"),
    "density zero": ("density: 0.5", "density: 0", "greater than 0"),
    "density over one": ("density: 0.5", "density: 1.5", "less than or equal to 1"),
    "placement": ("density: 0.5", "placement: alternat", "Did you mean 'alternate'?"),
    "target": ("density: 0.5", "target: attentoin", "Did you mean 'attention'?"),
    "density true": ("density: 0.5", "density: true", "density.0: expected a number such as"),
    "density with an underscore": ("density: 0.5", "density: 5_0e-2", "found '5_0e-2'"),
    "a method named by a number": ("lora: {density: 0.5}", "1e3: {}", "put 1000.0 in quotes"),
    "a method named by nothing": ("lora: {density: 0.5}", "~: {}", "put None in quotes"),
    "a method named no": ("lora: {density: 0.5}", "no", "unknown method 'no'"),
    "an option named by a number": ("density: 0.5", "1: 2", "put 1 in quotes"),
    "yes for true": ("density: 0.5", "use_rslora: yes", "true or false (found 'yes')"),
    "a length twice": ("lengths: [32]", "lengths: [0032, 32]", "lengths: duplicate value: 32"),
    "a name that is a number": ("name: tiny", "name: 1e3", "name: expected a text: put it in q"),
    "a name that is nothing": ("name: tiny", "name: ~", "name: expected a text"),
    "no density": ("density: 0.5", "density: []", "at least 1 item"),
    "case": ("lora: {density: 0.5}", "SSMLoRA: {}", "Did you mean 'ssmlora'?"),
    "option of another kind": (
        "density: 0.5", "use_rslora: maybe", "use_rslora: expected true or false (found 'maybe')",
    ),
    "a number in quotes": ("density: 0.5", "lora_dropout: '1e-1'", "'1e-1'): remove the quotes"),
    "option out of range": ("density: 0.5", "lora_dropout: 7", "between 0 and 1, but got 7"),
    "option in words": (
        "lora: {density: 0.5}", "ssmlora: {init: nonsense}", "init must be one of ('paper'",
    ),
    "option of words": ("density: 0.5", "bias: nonsense", "cannot be built on minilm: Requested"),
    "option that is no data": ("density: 0.5", "loftq_config: .nan", "expected numbers"),
    "option that moves the sites": ("density: 0.5", "exclude_modules: [query]", "use density"),
    "option that lacks": ("lora: {density: 0.5}", "vblora", "vector_length"),
    "method option": ("density: 0.5", "densty: 0.5", "Did you mean 'density'?"),
    "task": ("newsgroups", "newsgroup", "Did you mean 'newsgroups'?"),
    "backbone": ("minilm", "minilmm", "Did you mean 'minilm'?"),
    "hub model that is not here": ("minilm", "nobody/nothing", "hf download nobody/nothing"),
    "more than there is": (
        "test_examples: 8",
        "test_examples: 5000",
        "train.test_examples: the sweep asks for 5000, but the task 'newsgroups' has 500",
    ),
    "rate": ("lr: 1.0e-3", "lr: -1", "train.lr"),
    "rate in words": ("lr: 1.0e-3", "lr: tunned", "train.lr: expected a number, tuned, or {"),
    "no lengths": ("lengths: [32]\n", "", "training cells need both"),
    "name": ("name: tiny", "name: ../up", "name"),
    "settings of full": (
        "lora: {density: 0.5}",
        "full: {density: 0.5}",
        "takes no settings but lr",
    ),
    "unknown settings of full": ("lora: {density: 0.5}", "full: {foo: 1}", "full.foo: full"),
}  # fmt: skip


@pytest.mark.parametrize("case", REPLACED)
def test_bad_values(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, expected = REPLACED[case]
    assert old in TINY
    path = tmp_path / "bad.yaml"
    path.write_text(TINY.replace(old, new))
    assert expected in refused(capsys, "run", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in refused(capsys, "plan", tmp_path / "none.yaml")
    empty = tmp_path / "empty.yaml"
    empty.write_text("# nothing\n")
    assert "is empty" in refused(capsys, "plan", empty)
    listed = tmp_path / "list.yaml"
    listed.write_text("- a\n")
    assert "expected keys and values" in refused(capsys, "plan", listed)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not a text file" in refused(capsys, "plan", binary)
    assert "cannot be read" in refused(capsys, "plan", tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    assert "cannot be written" in refused(capsys, "run", tiny, "--out", in_the_way / "out")
    assert "not a result folder" in refused(capsys, "report", tmp_path)
    assert "no results" in refused(capsys, "tuned", tmp_path)


PLUG_INS = {
    "prepare raises": "def prepare(self): raise KeyError('corpus')",
    "prepare exits": "def prepare(self): raise SystemExit(0)",
    "splits raises": "def splits(self, length, seed): raise RuntimeError('torn')",
    "splits are none": "def splits(self, length, seed): return None",
    "data_version raises": "def data_version(self): raise KeyError('files')",
    "cannot be made": "def __init__(self): raise ValueError('no')",
}


@pytest.mark.parametrize("case", PLUG_INS)
def test_broken_plug_ins(
    case: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text(
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class Broken(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(update={'name': 'broken'})\n"
        f"    {PLUG_INS[case]}\n"
    )
    words = ["--tasks-dir", tmp_path / "plugins", "--set", "tasks=[broken]"]
    message = refused(capsys, "run", tiny, "--out", tmp_path / "out", *words)
    assert "tasks: the plug-in 'broken' fails: " in message
    assert not (tmp_path / "out").exists()


EXAMPLES = {
    "a label of none": ("Example('a', 'text', 5)", "has a label out of range: 5, not one of 0 to"),
    "no text": ("Example('a', None, 0)", "has a text of type NoneType"),
    "no example": ("('a', 'text', 0)", "is of type tuple, not Example"),
}


@pytest.mark.parametrize("case", EXAMPLES)
@pytest.mark.parametrize("command", ["plan", "tasks"])
def test_examples_that_mean_nothing(
    command: str, case: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, expected = EXAMPLES[case]
    (tmp_path / "wrong.py").write_text(
        "from tasks import Example, Splits\n"
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class Wrong(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(update={'name': 'wrong'})\n"
        "    def splits(self, length, seed):\n"
        "        part = [Example('b', 'text', 1)] * 100\n"
        f"        return Splits(part, part, [part[0], {made}, *part])\n"
    )
    sweep = [tiny, "--set", "tasks=[wrong]"] if command == "plan" else ["wrong"]
    message = refused(capsys, command, *sweep, "--tasks-dir", tmp_path)
    assert f"'wrong' breaks the contract of tasks: example 2 of test {expected}" in message


def test_a_card_of_a_broken_plug_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.py").write_text(
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class Broken(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(update={'name': 'broken'})\n"
        "    def prepare(self): raise KeyError('corpus')\n"
    )
    message = refused(capsys, "tasks", "broken", "--tasks-dir", tmp_path)
    assert "'broken' fails: KeyError: 'corpus'" in message


def test_a_study_without_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tuned.yaml").write_text("study: {}\nentries: [{arm: {}, lr: 0.1, tries: []}]\n")
    path = tmp_path / "sweep.yaml"
    tuned = TINY.replace("lr: 1.0e-3", "lr: tuned, head_lr: 0.01").replace("0.5", "0.25")
    path.write_text(tuned)
    assert "no study has a learning rate of minilm for LoRA 1/4" in refused(capsys, "plan", path)
    (tmp_path / "tuned.yaml").write_text("study: {}\nentries: [{arm: {}, lr: .nan, tries: []}]\n")
    assert "entries.0.lr: input should be a finite number" in refused(capsys, "plan", path)


def test_words(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected key=value" in refused(capsys, "plan", tiny, "--set", "train.examples")
    assert "Did you mean 'train.examples'" in refused(
        capsys, "plan", tiny, "--set", "train.exmples=4"
    )
    assert "Did you mean 'oom'?" in refused(capsys, "run", tiny, "--retry", "om")
    assert "no task 'newsgruops'. Did you mean 'newsgroups'?" in refused(
        capsys, "tasks", "newsgruops"
    )
    assert "not in the range x>=0" in refused(capsys, "tasks", "export", "needle", "--seed", "-1")
    for words in (["new", "mine", "--to", tiny.parent], ["needle", "--length", "128"]):
        assert "--to is of export and from, --length of export and check" in refused(
            capsys, "tasks", *words
        )
    assert refused(capsys, "run")
    assert refused(capsys, "nonsense")


def test_every_wrong_key_gets_a_line(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lenghts=[64]", "train.epoch=2", "limits.cell_gib=-1", "seeds=[a]"]
    assert main(["plan", str(tiny), *(w for word in words for w in ("--set", word))]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4
    assert all(str(tiny) in line for line in lines)
    expected = ("'lengths'", "'train.epochs'", "limits.cell_gib", "seeds.0")
    assert [any(word in line for line in lines) for word in expected] == [True] * 4
    many = [w for k in range(9) for w in ("--set", f"unknown{k}=1")]
    assert main(["plan", str(tiny), *many]) == 2
    assert "[and 4 more]" in capsys.readouterr().err.strip().splitlines()[-1]


MEANT = {
    "dora": "lora: {use_dora: true}",
    "rsLoRA": "lora: {use_rslora: true}",
    "pissa": "lora: {init_lora_weights: pissa}",
    "ssm-lora": "Did you mean 'ssmlora'?",
    "finetune": "Did you mean 'full'?",
    "lroa": "Did you mean 'lora'?",
    "mixlora": "There is: ",
    "qlora": "no quantised weights",
    "prefix": "Did you mean 'prefix_tuning'?",
    "soft-prompt": "Did you mean 'prompt_tuning'?",
    "tf-idf": "need no entry",
    "{lora: {r: 4}}": "rank",
    "{lora: {lora_alpha: 4}}": "alpha",
    "{lora: {target_modules: [q]}}": "target",
    "{lora: {learning_rate: 1e-3}}": "Did you mean 'lr'?",
    "{lora: {epochs: 3}}": "Did you mean 'train.epochs'?",
    "{lora: {batch: 3}}": "Did you mean 'train.batch_size'?",
    "{lora: {dropout: 0.1}}": "Did you mean 'lora_dropout'?",
}


@pytest.mark.parametrize("entry", MEANT)
def test_what_was_meant_by_a_method(
    entry: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MEANT[entry] in refused(capsys, "plan", tiny, "--set", f"methods=[{entry}]")


def test_a_list_of_methods_holds_those_that_run(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, "plan", tiny, "--set", "methods=[nonsense]")
    names = set(told.partition("There is: ")[2].rstrip(".").split(", "))
    assert names >= {"full", "lora", "ssmlora", "ia3", "vera", "prefix_tuning", "cartridge"}
    assert not names & {"poly", "shadow", "trainable_tokens", "xlora"}


KEYS = {
    "examples": "train.examples", "exampels": "train.examples",
    "train.rank": "methods.<method>.rank",
    "r": "methods.<method>.rank", "batch": "train.batch_size", "learning-rate": "train.lr",
    "train.learning_rate": "train.lr", "warmup_steps": "train.warmup", "model": "backbone",
    "train.seed": "seeds", "limits.timeout": "limits.cell_seconds", "lora": "methods",
    "cell_second": "limits.cell_seconds", "Train": "train", "train.lenghts": "lengths",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_what_was_meant_by_a_key(key: str, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "plan", tiny, "--set", f"{key}=3")
    assert f"{key}: unknown key. Did you mean '{KEYS[key]}'?" in message


@pytest.mark.parametrize("meant", ["use_dora: true", "use_rslora: true", "init_lora_weights: pissa",
                                   "init_lora_weights: olora"])  # fmt: skip
def test_a_method_that_is_suggested_can_be_planned(meant: str, tiny: Path) -> None:
    assert main(["plan", str(tiny), "--set", f"methods=[{{lora: {{{meant}}}}}]"]) == 0


def test_tasks_and_methods_that_are_wrong_are_said_at_once(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = "methods=[{lora: {densty: 1}}, {ssmlora: {foo: 2}}, dora]"
    assert main(["plan", str(tiny), "--set", "tasks=[mydocs]", "--set", methods]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4
    for word, line in zip(("mydocs", "lora.densty", "ssmlora.foo", "dora"), lines, strict=True):
        assert word in line


def test_a_far_name_is_not_suggested(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "plan", tiny, "--set", "tasks=[mydocs]")
    assert "--tasks-dir DIR" in message
    assert "Did you mean" not in message


def test_all_that_is_missing_is_said_at_once(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [tiny, "--set", "backbone=mini", "--set", "tasks=[neddle, newsgroups, imdbb]"]
    assert main(["plan", *map(str, words)]) == 2
    backbone, *tasks = capsys.readouterr().err.strip().splitlines()
    assert "Did you mean 'minilm'?" in backbone
    assert ["'needle'?" in tasks[0], "'imdb'?" in tasks[1]] == [True, True]
    assert len(tasks) == 2


def test_a_log_holds_nothing_that_moves_a_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        raise ValueError("the file a\x1b]0;title\x07\x1b[31m.png\rof a text\nis torn")
    except ValueError:
        log_traceback()
    said = capsys.readouterr().err
    assert r"ValueError: the file a\x1b]0;title\x07\x1b[31m.png" in said
    assert "test_bad_input.py" in said
    assert all(line.isprintable() for line in said.split("\n"))
