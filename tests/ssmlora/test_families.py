"""Every family without target_modules: the default sites, the chain, training, save and load."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from ssmlora import candidate_sites
from tests.ssmlora.families import DECODERS, FAMILIES, build
from tests.ssmlora.tiny import adapted, distance, layers_of, randomise

FUSED = {"gpt2": "c_attn", "gpt_neox": "query_key_value", "modernbert": "Wqkv"}
ROUNDING = 3e-7  # generate() reports logits in float32
SITES = {"t5": 24, **dict.fromkeys(FUSED, 4)}


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, tmp_path: Path) -> None:
    base, inputs = build(name)
    twin = copy.deepcopy(base)
    sites = candidate_sites(base)
    assert len(sites) == SITES.get(name, 8)
    assert name not in FUSED or {site.kind for site in sites} == {FUSED[name]}

    with torch.no_grad():
        before = base(**inputs).logits
        model = adapted(base, fill=False)
        assert torch.equal(model(**inputs).logits, before)
    randomise(model)
    model.train()
    logits = model(**inputs).logits
    logits.square().sum().backward()
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) == 4 * len(sites)
    heads = {
        f"{layer_name}.ssmlora_C.default"
        for layer_name, layer in layers_of(model).items()
        if not layer.settings["default"].reads
    }
    assert len(heads) == len({site.axis for site in sites})
    for parameter_name, parameter in trainable.items():
        assert parameter.grad is not None
        # W_c of the first layer on an axis: a gradient, and that is zero
        assert bool(parameter.grad.any()) != (parameter_name in heads), parameter_name
    model.eval()
    linked = model(**inputs).logits
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(twin, str(tmp_path)).double().eval()
    assert torch.equal(loaded(**inputs).logits, linked)
    for layer in layers_of(model).values():
        layer.link("default", "", (), writes=False)
    assert distance(model(**inputs).logits, linked) > 1e-8


@pytest.mark.parametrize("name", [*DECODERS, "t5"])
@pytest.mark.parametrize("search", [{}, {"num_beams": 3}], ids=["greedy", "beam"])
def test_cached_decoding_is_full_recomputation(name: str, search: dict[str, int]) -> None:
    base, inputs = build(name)
    model = adapted(base)
    prompt = inputs["input_ids"]
    options = {
        "attention_mask": torch.ones_like(prompt),
        "max_new_tokens": 6,
        "min_new_tokens": 6,
        "do_sample": False,
        "output_logits": True,
        "return_dict_in_generate": True,
        **search,
    }
    cached = model.generate(input_ids=prompt, use_cache=True, **options)
    full = model.generate(input_ids=prompt, use_cache=False, **options)
    assert torch.equal(cached.sequences, full.sequences)
    for one, other in zip(cached.logits, full.logits, strict=True):
        assert distance(one, other) < ROUNDING
    if not search:  # and both are what one forward pass over the whole says
        told = {"decoder_input_ids": cached.sequences} if name == "t5" else {}
        ids = prompt if name == "t5" else cached.sequences
        with torch.no_grad():
            logits = model(input_ids=ids, **told).logits
        start = 0 if name == "t5" else prompt.shape[1] - 1
        for step, one in enumerate(cached.logits):
            assert distance(one, logits[:, start + step]) < ROUNDING
    for layer in layers_of(model).values():
        layer.link("default", "", (), writes=False)
    cut = model.generate(input_ids=prompt, use_cache=True, **options)
    assert distance(cut.logits[0], cached.logits[0]) > 100 * ROUNDING
