"""A backbone's folder -> a model with the head that the task type needs.

Weights are float32 from safetensors; code that comes with a model is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.errors import one_line
from harness.models.architectures import attention_of, read_config
from harness.models.backbone_files import model_files
from harness.models.backbones import Backbone, predicts_words
from harness.models.position_tables import extend_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.heads import Classifier
    from tasks.types.base import TaskType

_POOLED = {"bert", "roberta", "xlm-roberta", "mpnet"}
"""Architectures whose models carry a first-token pooler, which nothing here uses."""


def load_classifier(
    backbone: Backbone,
    outputs: int,
    length: int,
    dropout: float,
    pad_token_id: int | None,
    kind: TaskType | None = None,
    words: Sequence[Sequence[int]] = (),
) -> Classifier:
    """Load float32 weights under a new classification head, attention dropout off.

    Attention dropout is off in every arm because it takes the fused attention kernel away on a
    CPU, which would change what the memory and throughput curves show. `dropout` sets the others.
    A learned position table shorter than `length` is extended by repeating it. `words` are the
    tokens of each label's name: where they differ and the backbone predicts words, the head starts
    from them.

    Raises:
        ValueError: a model that reads no text, weights that are not the model's, or too few
            positions.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    config = read_config(backbone, dropout, pad_token_id)
    told_apart = len({tuple(ids) for ids in words if ids}) == len(words) > 1
    if told_apart and predicts_words(backbone):
        whole = _pretrained(AutoModelForCausalLM, backbone, config, length)
        classifier = _classifier(whole.base_model, outputs, kind)
        classifier.start_from(whole.get_output_embeddings().weight, words)
        return classifier
    encoder = _pretrained(AutoModel, backbone, config, length, **_without_pooler(config))
    return _classifier(encoder, outputs, kind)


def load_language_model(
    backbone: Backbone, length: int, dropout: float, pad_token_id: int | None, spare: int = 0
) -> PreTrainedModel:
    """Load a causal language model, its own head included; the rest is as for a classifier.

    A position table that has to be extended gets `spare` positions more. How a model generates is
    the caller's to say: what its folder says of that (penalties, sampling) is left out.

    Raises:
        ValueError: weights that lack tensors of the model, or too few positions.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = read_config(backbone, dropout, pad_token_id)
    model = _pretrained(AutoModelForCausalLM, backbone, config, length, spare)
    model.generation_config = GenerationConfig(pad_token_id=pad_token_id)
    return model


def _pretrained(
    kind: Any, backbone: Backbone, config: Any, length: int, spare: int = 0, **more: Any
) -> Any:
    model_files(backbone.folder, "backbone")  # an adapter may lie there by now
    model, info = kind.from_pretrained(
        backbone.folder,
        config=config,
        attn_implementation=attention_of(kind, config),
        dtype="float32",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, in words
        **more,
    )
    _check_tensors(model, info)
    extend_positions(model.base_model, length, spare)
    _keep_attention_type(model.base_model)
    return model


def load_skeleton(backbone: Backbone, length: int, lm_head: bool = False) -> Any:
    """The model as the functions above make it, without weights: on torch's `meta` device."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    config = read_config(backbone, 0.0, 0)
    kind: Any = AutoModelForCausalLM if lm_head else AutoModel
    more = {} if lm_head else _without_pooler(config)
    with torch.device("meta"):
        model = kind.from_config(
            config,
            attn_implementation=attention_of(kind, config),
            trust_remote_code=False,
            **more,
        )
        extend_positions(model.base_model, length)
        return model if lm_head else _classifier(model, 2)


def _classifier(encoder: PreTrainedModel, outputs: int, kind: TaskType | None = None) -> Classifier:
    from harness.training.heads import Classifier

    try:
        return Classifier(encoder, outputs, kind)
    except Exception as error:  # whatever the model's own code raises at its first text
        if isinstance(error, MemoryError):
            raise
        raise ValueError(
            f"{type(encoder).__name__} gives no states for token ids alone, which a classifier "
            f"needs ({type(error).__name__}: {one_line(error)}): take another backbone"
        ) from error


def _check_tensors(model: PreTrainedModel, info: dict[str, Any]) -> None:
    """Refuse weights that are not those of the model: transformers would go on.

    It gives random values to tensors that are missing or of another shape, and drops those that the
    model has no place for. Tensors of another head are dropped rightly, those of a layer are not.
    """
    folder = model.config.name_or_path
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:
        raise ValueError(
            f"{folder}: the weights lack {len(missing)} tensors of the model, such as {missing[0]}"
        )
    if info["mismatched_keys"]:
        name, there, wanted = min(info["mismatched_keys"])
        raise ValueError(
            f"{folder}: the weights have {name} of shape {tuple(there)}, and config.json describes "
            f"{tuple(wanted)}: they are not of one model"
        )
    lists = {name for name, part in model.named_modules() if type(part).__name__ == "ModuleList"}
    prefix = model.base_model_prefix
    lists |= {f"{prefix}.{n}" for n in lists} | {n.removeprefix(f"{prefix}.") for n in lists}
    dropped = sorted(
        name
        for name in info["unexpected_keys"]
        if any(name.startswith(f"{place}.") for place in lists)
    )
    if dropped:
        raise ValueError(
            f"{folder}: the weights have {len(dropped)} tensors that the model of config.json has "
            f"no place for, such as {dropped[0]}: they are not of one model"
        )


def _keep_attention_type(encoder: PreTrainedModel) -> None:
    """Have BigBird choose its attention for each batch anew.

    By itself it changes to full attention at the first short batch and stays there, so that a
    result would depend on the order of the texts.
    """
    kind = getattr(encoder.config, "attention_type", None)
    change = getattr(encoder, "set_attention_type", None)
    if kind is not None and change is not None:
        encoder.register_forward_pre_hook(lambda *_: change(kind))


def _without_pooler(config: Any) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type in _POOLED else {}
