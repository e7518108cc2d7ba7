"""Adds the loading code to the model card of a saved adapter.

PEFT 0.21 finds methods in tables that packages fill on import. It has no entry point for other
packages, so the user must import `ssmlora`, and the card must say so.
"""

from __future__ import annotations

import re
from pathlib import Path

_AUTO_CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "CAUSAL_LM": "AutoModelForCausalLM",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}

_SNIPPET = """\
The adapter is of type SSMLORA, which the package `ssmlora` registers with PEFT. Import it before
you load the adapter; without the import, PEFT raises `KeyError: 'SSMLORA'`.

```python
import ssmlora  # registers SSMLORA with PEFT
from peft import PeftModel
from transformers import {auto}

base = {auto}.from_pretrained("BASE_MODEL")
model = PeftModel.from_pretrained(base, "ADAPTER")
```"""

_HEADING = "## How to Get Started with the Model"
_EMPTY = "[More Information Needed]"
_PEFT_CARD = re.compile(r"---\r?\n(?:.*\n)*?library_name: *peft\b")


def explain_loading(folder: Path, task_type: str | None) -> None:
    """Add the loading code to PEFT's model card, once; other text of the card is kept.

    PEFT writes the card first, into the folder of the adapter `default`; folders of other adapters
    are inside it. Files that are not PEFT model cards are left alone.

    Args:
        folder: the folder of an adapter's configuration.
        task_type: task type of the adapter; decides the class of the base model in the code.
    """
    for at in (folder / "README.md", folder.parent / "README.md"):
        if not at.is_file():
            continue
        card = at.read_text(encoding="utf-8")
        if not _PEFT_CARD.match(card):
            continue
        if "import ssmlora" not in card:
            at.write_text(_with_code(card, task_type), encoding="utf-8")
        return


def _with_code(card: str, task_type: str | None) -> str:
    code = _SNIPPET.format(auto=_AUTO_CLASSES.get(str(task_type), "AutoModel"))
    before, heading, after = card.partition(_HEADING)
    section, mark, rest = after.partition("\n## ")
    if heading and _EMPTY in section:
        return before + heading + section.replace(_EMPTY, code, 1) + mark + rest
    return f"{card.rstrip()}\n\n## How to load the adapter\n\n{code}\n"
