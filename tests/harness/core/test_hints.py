"""What a message suggests for a name or a value that is nearly right."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.models.backbones import find_backbone
from tests.harness.cli.test_bad_input import refused

SIMILAR_KEYS = {
    "dropot": "'lora_dropout'?",
    "drop_out": "'lora_dropout'?",
    "leraning_rate": "'lr'?",
    "epohs": "'train.epochs'?",
}


@pytest.mark.parametrize("key", SIMILAR_KEYS)
def test_a_similar_key_of_the_same_method_comes_first(
    key: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, "plan", tiny, "--set", f"methods=[{{lora: {{{key}: 0.1}}}}]")
    assert SIMILAR_KEYS[key] in told


TASKS = {
    "lm-eval:piqa": "'lm_eval:piqa'",
    "LM_Eval/piqa": "'lm_eval:piqa'",
    "lm_eval": "'lm_eval:NAME'",
    "sst-2": "Did you mean 'glue_sst2'?",
    "super_glue": "'superglue_boolq' or 'superglue_copa' or ",
}


@pytest.mark.parametrize("name", TASKS)
def test_what_was_meant_by_a_task(
    name: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert TASKS[name] in refused(capsys, "plan", tiny, "--set", f"tasks=['{name}']")


HUB = "https://huggingface.co/"
BACKBONES = {
    "": "x: is empty: use minilm or smollm2, a folder, or owner/name",
    "  ": "x: is empty",
    HUB + "bert-base-uncased": "use the hub name 'bert-base-uncased'",
    HUB + "google-bert/bert-base-uncased/": "use the hub name 'google-bert/bert-base-uncased'",
    HUB + "a/b/tree/main": "use the hub name 'a/b'",
    HUB + "a/b/blob/v1.0/config.json?x=1": "use the hub name 'a/b@v1.0'",
    HUB + "gpt2/tree/main": "use the hub name 'gpt2'",
    "hf.co/a/b": "use the hub name 'a/b'",
    "hf://a/b": "use the hub name 'a/b'",
    "s3://bucket/model": "use a hub name",
    HUB: "use a hub name",
}


@pytest.mark.parametrize("name", BACKBONES)
def test_what_was_meant_by_a_backbone(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        find_backbone(name, "x")
    assert BACKBONES[name] in str(caught.value)
