"""Suggestions for unknown names: other tools' names, similar spellings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

SIMILAR = 0.75
"""Least similarity (difflib) of a name that is suggested for an unknown one."""

ALIASES = {
    # settings of a method
    "r": "rank", "lora_r": "rank", "lora_rank": "rank", "ranks": "rank",
    "lora_alpha": "alpha", "scaling": "alpha",
    "target_modules": "target", "targets": "target", "modules": "target", "dropout": "lora_dropout",
    "densities": "density", "insertion_density": "density", "placements": "placement",
    "learning_rate": "lr", "learning_rates": "lr", "lrs": "lr", "rate": "lr",
    # settings of training
    "batch": "batch_size", "bs": "batch_size", "train_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size", "batchsize": "batch_size",
    "num_train_epochs": "epochs", "num_epochs": "epochs", "epoch": "epochs", "n_epochs": "epochs",
    "warmup_ratio": "warmup", "warmup_steps": "warmup", "warmup_proportion": "warmup",
    "wd": "weight_decay", "decay": "weight_decay",
    "max_grad_norm": "clip", "grad_clip": "clip", "gradient_clipping": "clip", "clip_norm": "clip",
    "train_examples": "examples", "num_examples": "examples", "max_train_samples": "examples",
    "samples": "examples", "train_size": "examples",
    "max_eval_samples": "validation_examples", "eval_examples": "validation_examples",
    "val_examples": "validation_examples", "dev_examples": "validation_examples",
    "max_predict_samples": "test_examples", "max_test_samples": "test_examples",
    "eval_steps": "validations", "evaluations": "validations", "hidden_dropout": "dropout",
    # what is run
    "seed": "seeds", "random_seed": "seeds", "random_state": "seeds",
    "task": "tasks", "task_name": "tasks", "data": "tasks", "dataset": "tasks", "datasets": "tasks",
    "length": "lengths", "max_len": "lengths", "max_length": "lengths", "seq_len": "lengths",
    "max_seq_len": "lengths", "max_seq_length": "lengths", "sequence_length": "lengths",
    "sequence_lengths": "lengths", "context_length": "lengths",
    "method": "methods", "arms": "methods", "peft": "methods", "adapters": "methods",
    "lora": "methods", "ssmlora": "methods", "full": "methods",
    "model": "backbone", "base_model": "backbone", "checkpoint": "backbone",
    "model_name": "backbone", "model_id": "backbone", "model_name_or_path": "backbone",
    "pretrained": "backbone",
    "precision": "dtype", "torch_dtype": "dtype", "bf16": "dtype", "fp16": "dtype",
    "timeout": "cell_seconds", "time_limit": "cell_seconds",
    "memory_limit": "cell_gib", "max_memory": "cell_gib",
}  # fmt: skip
"""Names of other tools for keys of a sweep."""

_METHODS = {
    "dora": "lora: {use_dora: true}",
    "rslora": "lora: {use_rslora: true}",
    "rs_lora": "lora: {use_rslora: true}",
    "pissa": "lora: {init_lora_weights: pissa}",
    "olora": "lora: {init_lora_weights: olora}",
    **dict.fromkeys(("ssm_lora", "sslora"), "ssmlora"),
    **dict.fromkeys(
        ("finetune", "finetuning", "fine_tune", "fine_tuning", "full_finetune", "full_ft", "fft",
         "ft", "full_finetuning", "full_fine_tuning"), "full",
    ),
    **dict.fromkeys(("layernorm", "layer_norm", "ln", "norm"), "ln_tuning"),
    **dict.fromkeys(("prompt", "soft_prompt", "soft_prompts", "prompttuning"), "prompt_tuning"),
    **dict.fromkeys(("prefix", "ptuning_v2", "p_tuning_v2", "prefixtuning"), "prefix_tuning"),
    **dict.fromkeys(("ptuning", "p_tuning_v1"), "p_tuning"),
    "llama_adapter": "adaption_prompt",
}  # fmt: skip
"""Other names of methods, with the entry that runs them."""

_WITHOUT = {
    **dict.fromkeys(
        ("qlora", "loftq", "qalora"),
        "There are no quantised weights here: 'lora' adapts the same layers of whole ones.",
    ),
    **dict.fromkeys(
        ("adapter", "houlsby", "pfeiffer", "bottleneck", "bottleneck_adapter"),
        "Bottleneck adapters are no method of PEFT: 'lora' is the usual one.",
    ),
    **dict.fromkeys(
        ("bitfit", "head", "linear_probe", "linear_probing"),
        "No method trains biases or the head alone.",
    ),
    **dict.fromkeys(
        ("lora+", "loraplus", "lora_plus", "lorafa", "lora_fa"),
        "Every arm is trained with the same AdamW: 'lora' is LoRA with it.",
    ),
    **dict.fromkeys(
        ("base", "zero_shot", "zeroshot", "frozen", "tfidf", "tf_idf"),
        "References need no entry: the sweep adds those that its tasks allow.",
    ),
}  # fmt: skip
"""Methods that nothing here runs, and what to say instead of a name that is only spelt alike."""


def normal(name: str) -> str:
    """A name in the spelling of the tables above."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the valid name that is spelt most like `name`; None where none is near.

    The same letters in another order come first: `lroa` is `lora`, not `road`. A name that a longer
    one contains is another name, not a slip: `mixlora` is not `xlora`.
    """
    given = normal(name)
    names = {normal(one): one for one in sorted(known)}
    swapped = [one for one in names if sorted(one) == sorted(given)]
    close = swapped or [
        one
        for one in difflib.get_close_matches(given, list(names), n=3, cutoff=SIMILAR)
        if not (one in given and len(given) > len(one) + 1)
    ]
    return names[close[0]] if close else None


def similar_alias(name: str, known: Collection[str]) -> str | None:
    """Return the `known` name that `name` is spelt like, or another tool's name for it is."""
    aliases = [alias for alias, meant in ALIASES.items() if meant in known]
    meant = similar(name, known) or similar(name, aliases)
    return ALIASES.get(meant, meant) if meant and meant not in known else meant


def elsewhere(name: str, known: Collection[str]) -> str | None:
    """Return what to write for a name that is the same but for its spelling, or another tool's.

    It comes before similar spellings: `dora` is spelt like `delora`, which is another method. An
    alias counts only where what it stands for is known.
    """
    given = normal(name)
    names = {normal(one): one for one in sorted(known)}
    if given in names:
        return names[given]
    if "ssmlora" in known and given in _METHODS:
        return _METHODS[given]
    return names.get(ALIASES.get(given, ""))


def without(name: str, known: Collection[str]) -> str | None:
    """Return a sentence on a method that nothing here runs; None for any other name."""
    return _WITHOUT.get(normal(name)) if "ssmlora" in known and name not in known else None
