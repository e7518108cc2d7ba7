"""The model card of a saved adapter says how to load it: PEFT does not know the method by itself.

PEFT 0.21 looks the method up in tables that are filled when a package is imported, and has no entry
point or other hook for packages of others. So the import cannot be left to PEFT.
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

    PEFT writes the card before the configurations: into the folder of the adapter `default`, which
    holds those of other adapters. A file that is no card of PEFT's is left alone.

    Args:
        folder: where the configuration of an adapter was written.
        task_type: of the adapter; decides the class of the base model in the code.
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
