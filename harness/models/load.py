"""Loads a model with the head that the task type needs.

Weights are float32 from safetensors; code that comes with a model is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.errors import one_line
from harness.core.levers import Levers, Weights
from harness.models.architectures import read_config, shorten
from harness.models.attention import implementation
from harness.models.backbone_files import model_files
from harness.models.backbones import RANDOM, Backbone, is_causal_lm
from harness.models.position_tables import extend_positions
from harness.models.quantised import QUANTISED, keep_layout, loading, quantise_skeleton

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.models.heads import Classifier
    from tasks.types.base import TaskType

_NONE = Levers()
_POOLED = {"bert", "roberta", "xlm-roberta", "mpnet"}
"""Architectures with a first-token pooler, which is not used here."""


def load_classifier(
    backbone: Backbone,
    outputs: int,
    length: int,
    dropout: float,
    pad_token_id: int | None,
    kind: TaskType | None = None,
    words: Sequence[Sequence[int]] = (),
    levers: Levers = _NONE,
    device: str = "cpu",
) -> Classifier:
    """Load float32 weights with a new classification head, without attention dropout.

    Attention dropout is 0 in every arm, because with it PyTorch does not use the fused attention
    kernel on a CPU, which changes memory and throughput. `dropout` sets the other dropouts. A
    learned position table shorter than `length` is repeated. `words` are the token ids of each
    label name: if they differ and the backbone is a causal language model, the head starts from
    them. 8-bit and 4-bit weights are loaded on `device`.

    Raises:
        ValueError: the model does not read text, the weights do not fit it, or it has too few
            positions.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    config = read_config(backbone, dropout, pad_token_id)
    given = {**loading(levers, device), "attention": levers.attention}
    distinct = len({tuple(ids) for ids in words if ids}) == len(words) > 1
    if distinct and is_causal_lm(backbone):
        whole = _pretrained(AutoModelForCausalLM, backbone, config, length, **given)
        classifier = _classifier(whole.base_model, outputs, kind)
        classifier.init_from_label_tokens(whole.get_output_embeddings().weight, words)
        return classifier
    encoder = _pretrained(AutoModel, backbone, config, length, **given, **_without_pooler(config))
    return _classifier(encoder, outputs, kind)


def load_language_model(
    backbone: Backbone,
    length: int,
    dropout: float,
    pad_token_id: int | None,
    spare: int = 0,
    levers: Levers = _NONE,
    device: str = "cpu",
) -> PreTrainedModel:
    """Load a causal language model with its own head; otherwise as `load_classifier`.

    A position table that must be extended gets `spare` more positions. Generation settings of the
    folder (penalties, sampling) are ignored.

    Raises:
        ValueError: the weights do not fit the model, or it has too few positions.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    config = read_config(backbone, dropout, pad_token_id)
    given = {**loading(levers, device), "attention": levers.attention}
    model = _pretrained(AutoModelForCausalLM, backbone, config, length, spare, **given)
    model.generation_config = GenerationConfig(pad_token_id=pad_token_id)
    return model


def _pretrained(
    kind: Any,
    backbone: Backbone,
    config: Any,
    length: int,
    spare: int = 0,
    attention: str | None = None,
    **more: Any,
) -> Any:
    attention = implementation(attention, kind, config)
    if backbone.stored_as == RANDOM:
        return _random(kind, config, length, spare, attention, **more)
    model_files(backbone.folder, "backbone")  # an adapter may have been added since
    model, info = kind.from_pretrained(
        backbone.folder,
        config=config,
        attn_implementation=attention,
        dtype="float32",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # refused below with a clear message
        **more,
    )
    _check_tensors(model, info)
    keep_layout(model)
    extend_positions(model.base_model, length, spare)
    _keep_attention_type(model.base_model)
    return model


def _random(kind: Any, config: Any, length: int, spare: int, attention: str, **more: Any) -> Any:
    """Return a model with random weights, on the default device of torch."""
    import torch

    model = kind.from_config(
        config, attn_implementation=attention, dtype=torch.float32, trust_remote_code=False, **more
    )
    extend_positions(model.base_model, length, spare)
    _keep_attention_type(model.base_model)
    return model


def load_skeleton(
    backbone: Backbone,
    length: int,
    lm_head: bool = False,
    blocks: int | None = None,
    attention: str | None = None,
    device: str = "meta",
    weights: Weights = "float32",
) -> Any:
    """Return the model of the functions above without its weights.

    Args:
        backbone: its configuration is read.
        length: tokens that it must have positions for.
        lm_head: whether it is a language model; else it has a classifier.
        blocks: the number of its blocks; None: that of the configuration.
        attention: the lever.
        device: on `meta` it has no numbers, on any other random ones.
        weights: the lever; on `meta`, layers of 8 or 4 bits are made.
    """
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    config = read_config(backbone, 0.0, 0)
    if blocks is not None:
        shorten(config, blocks)
    kind: Any = AutoModelForCausalLM if lm_head else AutoModel
    more = {} if lm_head else _without_pooler(config)
    with torch.device(device):
        model = kind.from_config(
            config,
            attn_implementation=implementation(attention, kind, config),
            dtype=torch.float32,  # config.json may name another one
            trust_remote_code=False,
            **more,
        )
        extend_positions(model.base_model, length)
        if weights in QUANTISED and device == "meta":
            quantise_skeleton(model, weights)
        return model if lm_head else _classifier(model, 2)


def _classifier(encoder: PreTrainedModel, outputs: int, kind: TaskType | None = None) -> Classifier:
    from harness.models.heads import Classifier

    try:
        return Classifier(encoder, outputs, kind)
    except Exception as error:  # any error of the model's code
        if isinstance(error, MemoryError):
            raise
        raise ValueError(
            f"{type(encoder).__name__} returns no token states for token ids alone, which a "
            f"classifier needs ({type(error).__name__}: {one_line(error)}): use another backbone"
        ) from error


def _check_tensors(model: PreTrainedModel, info: dict[str, Any]) -> None:
    """Refuse weights that do not fit the model; transformers would only warn.

    It initialises missing and misshapen tensors at random and ignores unexpected ones. Unexpected
    tensors of another head are fine, those of a layer are not.
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
            f"{folder}: the weights have {name} of shape {tuple(there)}, but config.json describes "
            f"{tuple(wanted)}: use files of one model"
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
            f"{folder}: the weights have {len(dropped)} tensors that the model of config.json does "
            f"not have, such as {dropped[0]}: use files of one model"
        )


def _keep_attention_type(encoder: PreTrainedModel) -> None:
    """Make BigBird choose its kind of attention for each batch.

    By default it changes to full attention at the first short batch and keeps it, so results would
    depend on the order of the texts.
    """
    kind = getattr(encoder.config, "attention_type", None)
    change = getattr(encoder, "set_attention_type", None)
    if kind is not None and change is not None:
        encoder.register_forward_pre_hook(lambda *_: change(kind))


def _without_pooler(config: Any) -> dict[str, Any]:
    return {"add_pooling_layer": False} if config.model_type in _POOLED else {}
