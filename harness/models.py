"""A backbone's folder -> a model with the head that the task's family needs.

Weights are float32 from safetensors; code that comes with a model is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.backbones import Backbone, predicts_words

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.heads import Classifier
    from tasks import Family

_POOLED = {"bert", "roberta", "xlm-roberta", "mpnet"}
"""Architectures whose models carry a first-token pooler, which nothing here uses."""

_TABLES = {"wpe", "embed_positions", "position_embeddings"}
"""What learned position tables are called where they are not those that can be extended."""


def load_classifier(
    backbone: Backbone,
    outputs: int,
    length: int,
    dropout: float,
    pad_token_id: int | None,
    family: Family = "classification",
    words: Sequence[Sequence[int]] = (),
) -> Classifier:
    """Load float32 weights under a new classification head, attention dropout off.

    Attention dropout is off in every arm because it takes the fused attention kernel away on a
    CPU, which would change what the memory and throughput curves show. `dropout` sets the others.
    A learned position table shorter than `length` is extended by repeating it. `words` are the
    tokens of each label's name: where they differ and the backbone predicts words, the head starts
    from them.

    Raises:
        ValueError: weights that lack tensors of the model, or too few positions.
    """
    from transformers import AutoModel, AutoModelForCausalLM

    from harness.heads import Classifier

    config = _config(backbone, dropout, pad_token_id)
    told_apart = len({tuple(ids) for ids in words if ids}) == len(words) > 1
    if told_apart and predicts_words(backbone):
        whole = _pretrained(AutoModelForCausalLM, backbone, config, length)
        classifier = Classifier(whole.base_model, outputs, family)
        classifier.start_from(whole.get_output_embeddings().weight, words)
        return classifier
    encoder = _pretrained(AutoModel, backbone, config, length, **_without_pooler(config))
    return Classifier(encoder, outputs, family)


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

    config = _config(backbone, dropout, pad_token_id)
    model = _pretrained(AutoModelForCausalLM, backbone, config, length, spare)
    model.generation_config = GenerationConfig(pad_token_id=pad_token_id)
    return model


def _pretrained(
    kind: Any, backbone: Backbone, config: Any, length: int, spare: int = 0, **more: Any
) -> Any:
    model, info = kind.from_pretrained(
        backbone.folder,
        config=config,
        attn_implementation="sdpa",
        dtype="float32",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
        **more,
    )
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:  # transformers would give them random values and go on
        raise ValueError(
            f"{backbone.folder}: the weights lack {len(missing)} tensors of the model, such as "
            f"{missing[0]}"
        )
    _extend_positions(model.base_model, length, spare)
    return model


def load_skeleton(backbone: Backbone, length: int, writes: bool = False) -> Any:
    """The model as the functions above make it, without weights: on torch's `meta` device."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    from harness.heads import Classifier

    config = _config(backbone, 0.0, None)
    common: dict[str, Any] = {"attn_implementation": "sdpa", "trust_remote_code": False}
    with torch.device("meta"):
        if writes:
            model = AutoModelForCausalLM.from_config(config, **common)
            _extend_positions(model.base_model, length)
            return model
        encoder = AutoModel.from_config(config, **common, **_without_pooler(config))
        _extend_positions(encoder, length)
        return Classifier(encoder, 2)


def _config(backbone: Backbone, dropout: float, pad_token_id: int | None) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        backbone.folder, trust_remote_code=False, local_files_only=True
    )
    for field in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(config, field):
            setattr(config, field, 0.0)
    for field in ("hidden_dropout_prob", "resid_pdrop", "embd_pdrop"):
        if hasattr(config, field):
            setattr(config, field, dropout)
    config.pad_token_id = pad_token_id
    config.use_cache = False  # of keys and values, which training would keep for nothing
    return config


def _without_pooler(config: Any) -> dict[str, bool]:
    return {"add_pooling_layer": False} if config.model_type in _POOLED else {}


def _extend_positions(encoder: PreTrainedModel, length: int, spare: int = 0) -> None:
    """Repeat a learned position table until it covers `length` tokens (rotary models need nothing).

    The repeated rows were never trained at those places: they serve for cost, and accuracy beyond
    the original table is the method's to earn.

    Raises:
        ValueError: a learned table that is too short, of an architecture that is not known here.
    """
    import torch

    embeddings = getattr(encoder, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return check_positions(encoder, length)
    # RoBERTa keeps rows up to its padding's number free, and counts from there.
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    known = table.num_embeddings - first
    length += spare
    if known >= length:
        return
    rows = torch.cat([torch.arange(first), first + torch.arange(length) % known])
    longer = torch.nn.Embedding(len(rows), table.embedding_dim, table.padding_idx)
    longer.weight = torch.nn.Parameter(table.weight.detach()[rows].clone())
    assert embeddings is not None
    embeddings.position_embeddings = longer
    embeddings.register_buffer("position_ids", torch.arange(len(rows))[None], persistent=False)
    if hasattr(embeddings, "token_type_ids"):
        zeros = torch.zeros(1, len(rows), dtype=torch.long)
        embeddings.register_buffer("token_type_ids", zeros, persistent=False)
    encoder.config.max_position_embeddings = len(rows)


def check_positions(encoder: PreTrainedModel, length: int) -> None:
    """Check that a learned position table has room for `length` tokens.

    Raises:
        ValueError: it has not.
    """
    from torch import nn

    for name, module in encoder.named_modules():
        table = isinstance(module, nn.Embedding) and name.split(".")[-1] in _TABLES
        if table and module.num_embeddings < length:
            raise ValueError(
                f"{encoder.config.model_type} knows {module.num_embeddings} positions, and "
                f"{length} tokens are asked for"
            )


def describe_dropout(config: Any) -> str:
    """Attention and hidden dropout as they stand in a model's configuration."""
    hidden = getattr(config, "hidden_dropout_prob", getattr(config, "resid_pdrop", 0.0))
    attention = getattr(config, "attention_probs_dropout_prob", 0.0)
    return f"attention {attention:g}, hidden {hidden:g}"
