"""Time and memory of SSMLoRA, PEFT's LoRA and a trained head alone, on the same sites.

    python benchmarks/adapter_overhead.py  # SmolLM2-135M-Instruct and MiniLM, CPU
    python benchmarks/adapter_overhead.py --shapes minilm --turns 60 --densities 1 0.5
    python benchmarks/adapter_overhead.py --device cuda --compile --shapes llama2 --tokens 1024 4096

Weights are random, because only shapes decide the cost. The arms take turns within one process, so
that other load affects all of them. Times are medians: CPU time of the process on one core,
wall-clock time on a GPU. Ratios to LoRA are medians of the ratios of neighbouring turns, with
standard errors.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch.profiler import ProfilerActivity, profile

from ssmlora import SSMLoraConfig, candidate_sites, select_sites

ARMS = ("head", "LoRA", "SSMLoRA")

SHAPES: dict[str, tuple[int, dict[str, Any]]] = {
    "smollm2": (  # SmolLM2-135M-Instruct; it has 30 layers
        1024,
        {
            "model_type": "llama",
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "tie_word_embeddings": True,
        },
    ),
    "minilm": (  # all-MiniLM-L6-v2 with four classes; attention dropout off, for the fused kernel
        512,
        {
            "model_type": "bert",
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_attention_heads": 12,
            "num_labels": 4,
            "attention_probs_dropout_prob": 0.0,
        },
    ),
    "llama2": (1024, {"model_type": "llama"}),  # the defaults are LLaMA-2-7B's; it has 32 layers
}
"""Default number of tokens, and the configuration of the model."""

NO_WORK = {
    "as_strided",
    "view",
    "_unsafe_view",
    "_reshape_alias",
    "expand",
    "transpose",
    "slice",
    "select",
    "unsqueeze",
    "squeeze",
    "permute",
    "detach",
    "alias",
    "empty",
    "empty_strided",
    "empty_like",
    "result_type",
    "resize_",
    "set_",
    "lift_fresh",
}
"""Operators that only allocate memory or view it."""


def main() -> None:
    """Print a table for each shape, number of tokens and density."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", default=["smollm2", "minilm"], choices=list(SHAPES))
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--tokens", nargs="+", type=int, help="default: depends on the shapes")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--densities", nargs="+", type=float, default=[1.0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--weights", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    print(
        f"{machine(options.device)}; Python {platform.python_version()}, torch "
        f"{torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"
    )
    for shape in options.shapes:
        for tokens in options.tokens or [SHAPES[shape][0]]:
            for density in options.densities:
                measure(shape, tokens, density, options)


def measure(shape: str, tokens: int, density: float, options: argparse.Namespace) -> None:
    """Build the arms, measure them in turns, print the table."""
    models = {arm: build(shape, arm, density, options) for arm in ARMS}
    config = models["head"].config
    ids = torch.randint(0, config.vocab_size, (options.batch, tokens), device=options.device)
    labels = torch.zeros_like(ids[:, 0]) if shape == "minilm" else ids
    inputs = {"input_ids": ids, "labels": labels}
    if options.compile:
        for model in models.values():
            model.compile()
    steps: dict[str, list[float]] = {arm: [] for arm in ARMS}
    forwards: dict[str, list[float]] = {arm: [] for arm in ARMS}
    optimizers = {arm: torch.optim.AdamW(trainable(m), lr=1e-4) for arm, m in models.items()}
    for turn in range(options.turns + 1):
        for arm in ARMS if turn % 2 else ARMS[::-1]:
            seconds = timed(step, models[arm], inputs, optimizers[arm], options)
            passed = timed(forward, models[arm], inputs, options)
            if turn:  # the first turn warms up
                steps[arm].append(seconds)
                forwards[arm].append(passed)
    saved = {arm: saved_bytes(models[arm], inputs, options) for arm in ARMS}
    profiles = {arm: profiled(models[arm], inputs, options) for arm in ARMS}
    sites = len(select_sites(candidate_sites(models["head"]), density))
    print(
        f"\n{shape}: {options.layers} layers, {options.batch} x {tokens} tokens, density "
        f"{density:g} ({sites} sites), {options.weights} weights, {options.dtype} "
        f"{'autocast, ' if options.dtype != 'float32' else ''}"
        f"{'compiled' if options.compile else 'eager'}, attention {config._attn_implementation} "
        f"({profiles['LoRA'][2]}), {options.turns} turns\n"
    )
    print(
        "| arm | step ms | / LoRA | forward ms | / LoRA | saved MB | / LoRA | peak MB | kernels |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for arm in ARMS:
        peak, kernels, _ = profiles[arm]
        print(
            f"| {arm} | {1e3 * statistics.median(steps[arm]):.1f} | {ratio(steps, arm)} "
            f"| {1e3 * statistics.median(forwards[arm]):.1f} | {ratio(forwards, arm)} "
            f"| {saved[arm] / 1e6:.2f} | {saved[arm] / saved['LoRA']:.3f} "
            f"| {peak / 1e6:.1f} | {kernels} |",
            flush=True,
        )


def build(shape: str, arm: str, density: float, options: argparse.Namespace) -> Any:
    """Return the model of an arm; LoRA and SSMLoRA have the same sites."""
    torch.manual_seed(0)
    settings = SHAPES[shape][1]
    config = transformers.AutoConfig.for_model(**settings, num_hidden_layers=options.layers)
    of = "SequenceClassification" if "num_labels" in settings else "CausalLM"
    with torch.device(options.device):
        model = getattr(transformers, f"AutoModelFor{of}").from_config(config)
    model = model.to(getattr(torch, options.weights))
    sites = [site.name for site in select_sites(candidate_sites(model), density)]
    common: dict[str, Any] = {"r": 8, "lora_alpha": 16}
    if arm == "head":
        model.requires_grad_(False)
        (model.get_output_embeddings() or model.classifier).requires_grad_(True)
    elif arm == "LoRA":
        model = get_peft_model(model, LoraConfig(target_modules=sites, **common))
    else:
        model = get_peft_model(model, SSMLoraConfig(placement=sites, **common))
    return model.train()


def trainable(model: Any) -> list[torch.nn.Parameter]:
    """Return the trainable parameters."""
    return [p for p in model.parameters() if p.requires_grad]


def autocast(options: argparse.Namespace) -> Any:
    """Return an autocast context for mixed precision, otherwise an empty one."""
    if options.dtype == "float32":
        return nullcontext()
    return torch.autocast(options.device.partition(":")[0], torch.bfloat16)


def step(model: Any, inputs: dict[str, Any], optimizer: Any, options: argparse.Namespace) -> None:
    """Run one training step."""
    model.train()
    with autocast(options):
        loss = model(**inputs).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    synchronize(options.device)


def forward(model: Any, inputs: dict[str, Any], options: argparse.Namespace) -> None:
    """Run one forward pass in evaluation mode."""
    model.eval()
    with torch.inference_mode(), autocast(options):
        model(**inputs)
    synchronize(options.device)


def synchronize(device: str) -> None:
    """Wait until the device is idle."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def timed(run: Callable[..., None], *arguments: Any) -> float:
    """Return the seconds of a call: CPU time of the process, or wall-clock time on a GPU."""
    clock = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    start = clock()
    run(*arguments)
    return clock() - start


def ratio(times: dict[str, list[float]], arm: str) -> str:
    """Return the median over turns of an arm's time divided by LoRA's, and its standard error."""
    if arm == "LoRA":
        return "1"
    ratios = sorted(a / b for a, b in zip(times[arm], times["LoRA"], strict=True))
    # Standard error of the median from the interquartile range, for a normal distribution.
    middle = ratios[len(ratios) * 3 // 4] - ratios[len(ratios) // 4]
    error = 1.253 * middle / 1.349 / len(ratios) ** 0.5
    return f"{statistics.median(ratios):.3f} ± {error:.3f}"


def saved_bytes(model: Any, inputs: dict[str, Any], options: argparse.Namespace) -> int:
    """Return the bytes that autograd keeps for the backward pass, without parameters."""
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


def profiled(
    model: Any, inputs: dict[str, Any], options: argparse.Namespace
) -> tuple[int, int, str]:
    """Return peak bytes above the start, kernels and attention kernel of one training pass.

    On a CPU kernels are the operators that call no other and compute something, and memory is what
    torch's allocator hands out (not the scratch space of its matrix libraries).
    """
    cuda = options.device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    model.train()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    with profile(activities=activities, profile_memory=not cuda) as profiler, autocast(options):
        model(**inputs).loss.backward()
        synchronize(options.device)
    model.zero_grad()
    events = profiler.events() or []
    attention = {
        e.name for e in events if "_scaled_dot_product" in e.name and "backward" not in e.name
    }
    name = ", ".join(sorted(attention - {"aten::scaled_dot_product_attention"}))
    if cuda:
        kernels = sum(event.device_type == torch.autograd.DeviceType.CUDA for event in events)
        return torch.cuda.max_memory_allocated() - before, kernels, name
    kernels = sum(e.name.startswith("aten::") and not e.cpu_children for e in events)
    kernels -= sum(e.name.removeprefix("aten::") in NO_WORK for e in events if not e.cpu_children)
    total = peak = 0
    recorded: Any = profiler.profiler
    for event in sorted(recorded.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    return peak, kernels, name


def machine(device: str) -> str:
    """Return a description of the device."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return f"CPU, {name or platform.processor()}, {torch.get_num_threads()} thread(s)"


if __name__ == "__main__":
    main()
