"""How much an untrained backbone's mean state depends on which word belongs to which.

Swaps two colours in a `needle` text: the words stay the same, the pairs change. Prints how far the
mean of the token states moves, in percent of the distance of texts from their mean. Compares short
texts repeated k times (the whole text, or each token) with texts of the same length and k = 1.
Where the mean moves less, learning is slower (docs/log/2026-11-27-training-texts.md).

    python benchmarks/binding.py
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import torch

from harness.models.backbones import find_backbone
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer
from tasks import load_task
from tasks.builtin.synthetic.curricula import repeat_each


def main() -> None:
    """Print a row for each k."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--often", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    options = parser.parse_args()
    torch.set_num_threads(1)
    short = [example.text for example in load_task("needle").splits(64, 0).test[: options.texts]]
    print(f"{'tokens':>7}{'k':>6}{'text':>8}{'each token':>11}{'k = 1':>8}")
    for often in options.often:
        room = 62 * often
        once = [e.text for e in load_task("needle").splits(room + 2, 0).test[: options.texts]]
        pairs = [(text, swapped(text)) for text in short]
        ways = [
            [[" ".join([text] * often) for text in pair] for pair in pairs],
            [[" ".join(repeat_each(text.split(), often)) for text in pair] for pair in pairs],
            [[text, swapped(text)] for text in once],
        ]
        moved = [f"{share:.1%}" for share in shares(options.backbone, room + 2, ways)]
        print(f"{room + 2:>7}{often:>6}{moved[0]:>8}{moved[1]:>11}{moved[2]:>8}", flush=True)


def swapped(text: str) -> str:
    """Return the text with the right colour and that of another thing exchanged."""
    asked = text.split()[-2]
    said: dict[str, str] = dict(re.findall(r"the (\w+) is (\w+) \.", text))
    other = next(thing for thing in said if thing != asked)
    to = {said[asked]: said[other], said[other]: said[asked]}
    return re.sub(r"(?<= is )(\w+)(?= \.)", lambda found: to.get(found[1], found[1]), text)


@torch.inference_mode()
def shares(name: str, length: int, ways: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Return for each way the mean distance within pairs over that of texts from their mean."""
    backbone = find_backbone(name)
    tokenizer = load_tokenizer(backbone)
    encoder = load_classifier(backbone, 2, length, 0.0, tokenizer.pad_token_id).encoder.eval()

    def read(text: str) -> torch.Tensor:
        coded = tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        states = encoder(coded["input_ids"], attention_mask=coded["attention_mask"])
        return torch.as_tensor(states.last_hidden_state[0].mean(0))

    found = []
    for pairs in ways:
        states = torch.stack([torch.stack([read(text) for text in pair]) for pair in pairs])
        apart = (states[:, 0] - states[:, 0].mean(0)).norm(dim=1).mean()
        found.append(float((states[:, 0] - states[:, 1]).norm(dim=1).mean() / apart))
    return found


if __name__ == "__main__":
    main()
