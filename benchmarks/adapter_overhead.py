"""What the state costs: the head alone, PEFT LoRA and SSMLoRA on the same sites, side by side.

    python benchmarks/adapter_overhead.py                     # SmolLM2 and MiniLM shapes, CPU
    python benchmarks/adapter_overhead.py --device cuda --compile --shapes llama2

Weights are random: shapes alone decide the cost. The arms take turns within one process, so that a
busy machine slows all of them alike; times are medians, and ratios are medians of the ratios of
neighbouring turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    LlamaConfig,
)

from ssmlora import SSMLoraConfig, candidate_sites, select_sites

ARMS = ("head", "LoRA", "SSMLoRA", "SSMLoRA, no link")


def smollm2(layers: int) -> Any:
    """SmolLM2-135M shapes at 1024 tokens."""
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    return AutoModelForCausalLM.from_config(config)


def minilm(layers: int) -> Any:
    """all-MiniLM-L6-v2 shapes at 512 tokens, four classes, attention dropout off."""
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_labels=4,
        attention_probs_dropout_prob=0.0,
    )
    return AutoModelForSequenceClassification.from_config(config)


def llama2(layers: int) -> Any:
    """LLaMA-2-7B shapes at 1024 tokens, for a GPU."""
    return AutoModelForCausalLM.from_config(LlamaConfig(num_hidden_layers=layers))


SHAPES: dict[str, tuple[Callable[[int], Any], int, str]] = {
    "smollm2": (smollm2, 1024, "model.norm."),
    "minilm": (minilm, 512, "classifier."),
    "llama2": (llama2, 1024, "model.norm."),
}
"""Builder, usual number of tokens, and what is trainable in the arm without adapters."""


def main() -> None:
    """Measure and print one table a shape."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", default=["smollm2", "minilm"], choices=list(SHAPES))
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--tokens", type=int, help="left out: what is usual for the shape")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--density", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    for shape in options.shapes:
        measure(shape, options)


def measure(shape: str, options: argparse.Namespace) -> None:
    """Build the arms, let them take turns, print the table."""
    models = {arm: build(shape, arm, options) for arm in ARMS}
    tokens = options.tokens or SHAPES[shape][1]
    vocabulary = models["head"].config.vocab_size
    ids = torch.randint(0, vocabulary, (options.batch, tokens), device=options.device)
    labels = ids if shape != "minilm" else torch.zeros_like(ids[:, 0])
    inputs = {"input_ids": ids, "labels": labels}
    if options.compile:
        for model in models.values():
            model.compile()
    steps: dict[str, list[float]] = {arm: [] for arm in ARMS}
    forwards: dict[str, list[float]] = {arm: [] for arm in ARMS}
    optimizers = {arm: torch.optim.AdamW(trainable(m), lr=1e-4) for arm, m in models.items()}
    for turn in range(options.turns + 1):
        order = ARMS if turn % 2 else ARMS[::-1]
        for arm in order:
            seconds = timed(step, models[arm], inputs, optimizers[arm], options)
            passed = timed(forward, models[arm], inputs, options)
            if turn:  # the first turn warms up
                steps[arm].append(seconds)
                forwards[arm].append(passed)
    print(
        f"\n{shape}: {options.layers} layers, {options.batch} x {tokens} tokens, density "
        f"{options.density}, {options.dtype} autocast, {device_name(options.device)}, "
        f"{'compiled' if options.compile else 'eager'}, attention "
        f"{models['head'].config._attn_implementation}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} thread(s), {options.turns} turns\n"
    )
    print("| arm | step ms | / LoRA | forward ms | / LoRA | saved MB | / LoRA | operators |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    saved = {arm: saved_bytes(models[arm], inputs, options) for arm in ARMS}
    for arm in ARMS:
        print(
            f"| {arm} | {1e3 * statistics.median(steps[arm]):.1f} | {ratio(steps, arm):.3f} "
            f"| {1e3 * statistics.median(forwards[arm]):.1f} | {ratio(forwards, arm):.3f} "
            f"| {saved[arm] / 1e6:.2f} | {saved[arm] / saved['LoRA']:.3f} "
            f"| {operators(models[arm], inputs, options)} |"
        )


def build(shape: str, arm: str, options: argparse.Namespace) -> Any:
    """The arm's model; LoRA and SSMLoRA on the same sites."""
    torch.manual_seed(0)
    model = SHAPES[shape][0](options.layers)
    sites = [site.name for site in select_sites(candidate_sites(model), options.density)]
    common: dict[str, Any] = {"r": 8, "lora_alpha": 16}
    if arm == "head":
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(SHAPES[shape][2] in name)
    elif arm == "LoRA":
        model = get_peft_model(model, LoraConfig(target_modules=sites, **common))
    else:
        linked = arm == "SSMLoRA"
        model = get_peft_model(model, SSMLoraConfig(placement=sites, link_state=linked, **common))
    return model.to(options.device).train()


def trainable(model: Any) -> list[torch.nn.Parameter]:
    """What the optimizer gets."""
    return [p for p in model.parameters() if p.requires_grad]


def autocast(options: argparse.Namespace) -> Any:
    """Mixed precision, or nothing."""
    if options.dtype == "float32":
        return nullcontext()
    return torch.autocast(options.device.partition(":")[0], torch.bfloat16)


def step(model: Any, inputs: dict[str, Any], optimizer: Any, options: argparse.Namespace) -> None:
    """One training step."""
    model.train()
    with autocast(options):
        loss = model(**inputs).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    synchronize(options.device)


def forward(model: Any, inputs: dict[str, Any], options: argparse.Namespace) -> None:
    """One forward pass in evaluation mode."""
    model.eval()
    with torch.inference_mode(), autocast(options):
        model(**inputs)
    synchronize(options.device)


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def timed(run: Callable[..., None], *arguments: Any) -> float:
    """Seconds that a call takes: of this process on a CPU (one thread), of the clock on a GPU."""
    clock = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    start = clock()
    run(*arguments)
    return clock() - start


def ratio(times: dict[str, list[float]], arm: str) -> float:
    """Median over the turns of the arm's time by LoRA's in the same turn."""
    return statistics.median(a / b for a, b in zip(times[arm], times["LoRA"], strict=True))


def saved_bytes(model: Any, inputs: dict[str, Any], options: argparse.Namespace) -> int:
    """Bytes that autograd keeps for the backward pass, parameters left out, storages once."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    model.train()
    with autocast(options), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**inputs).loss
    total = sum(sizes.values())
    del loss
    alive.clear()
    return total


def operators(model: Any, inputs: dict[str, Any], options: argparse.Namespace) -> int:
    """Operators run in one forward pass and backward pass."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if options.device.startswith("cuda"):
        activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile, autocast(options):
        model(**inputs).loss.backward()
    model.zero_grad()
    return sum(event.count for event in profile.key_averages())


def device_name(device: str) -> str:
    """The device in words."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"


if __name__ == "__main__":
    main()
