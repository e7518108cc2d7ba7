"""Do the test texts have as many tokens as the length that results are reported at?

A text that is shorter than the length is read whole, so a score "at 4,096 tokens" may say nothing
about that length. A cell measures this on the token ids that it reads. Before a sweep starts, it is
measured on a bounded number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.errors import BadInput
from harness.planning.keys.values import MIN_LENGTH
from tasks import Example, Task, TaskMetadata
from tasks.lib.texts import A_TOKEN, well_formed

if TYPE_CHECKING:
    from harness.models.backbones import Backbone
    from harness.training.batches import Encoded

MOST_TOKENS = 200_000
"""Tokens that are counted of a task at a length before a sweep starts."""

FEWEST = 50
"""Texts that are counted however long they are."""

SEARCHED = 2_000
"""Where no counted text reaches the length: how many of the longest others are counted as well."""

_WHOLE = (
    "set `whole_texts: true` if its texts are read whole (in the entry of a sweep file, or "
    "whole_texts=True in the metadata of a plug-in)"
)

Size = Callable[[Example, int], int]
"""(example, length) -> its tokens, special tokens included; any number >= length for more."""


class Reach(NamedTuple):
    """The share of `texts` counted texts that reach a length, and the longest's tokens (at most
    the length)."""

    share: float
    longest: int
    texts: int


def reach_of(sizes: Sequence[int], length: int, metadata: TaskMetadata) -> Reach:
    """Reach of texts of these sizes; a generator's declared `slack` counts as filled."""
    least = length - metadata.slack
    reached = sum(size >= least for size in sizes)
    longest = min(length, max(sizes, default=0))
    return Reach(reached / max(1, len(sizes)), longest, len(sizes))


def describe_reach(test: Encoded, length: int) -> dict[str, Any]:
    """What a result says of its test texts: `reach`, `longest` and `whole_texts`.

    A row that was cut has `length` tokens, one that was not has fewer or exactly as many. Of a
    choice the longest row counts. Where an answer is written, the room that is kept for it counts,
    since a text is cut to what that room leaves. None without test texts.
    """
    metadata = test.metadata
    found: dict[str, Any] = {"reach": None, "longest": None, "whole_texts": metadata.whole_texts}
    if not len(test):
        return found
    if reserved := metadata.task_type.reserved(metadata):
        sizes = [start + reserved for start in test.starts]
    else:
        sizes = [test.width(example) for example in range(len(test))]
    seen = reach_of(sizes, length, metadata)
    return {**found, "reach": seen.share, "longest": seen.longest}


def planned_reach(task: Task, size: Size, length: int, examples: Sequence[Example]) -> Reach:
    """Reach of the first of `examples`; of more of them where none of the first reaches the length.

    The share is that of the first MOST_TOKENS / length texts. Where it is 0, the longest other
    texts (by characters) are counted too until one reaches the length.
    """
    metadata, total = task.metadata, len(examples)
    first = min(total, max(FEWEST, MOST_TOKENS // length))
    seen = reach_of([size(e, length) for e in examples[:first]], length, metadata)
    if seen.share or first == total:
        return seen
    others = sorted(islice(examples, first, None), key=_letters, reverse=True)[:SEARCHED]
    longest = seen.longest
    for example in others:
        found = size(example, length)
        if found >= length - metadata.slack:
            return Reach(1 / total, min(found, length), total)
        longest = max(longest, found)
    return Reach(0.0, longest, total)


def token_size(backbone: Backbone, metadata: TaskMetadata) -> Size:
    """Return what counts an example's tokens as the cells cut it, without importing transformers.

    Raises:
        ValueError: there is no tokenizer, or it is not a fast one.
    """
    from harness.models.tokens import plain_tokenizer

    tokenizer = plain_tokenizer(backbone)
    kind, reserved = metadata.task_type, metadata.task_type.reserved(metadata)
    special: dict[bool, int] = {
        two: tokenizer.num_special_tokens_to_add(two) for two in (False, True)
    }
    # A tokenizer without a separator gets an empty line between two texts.
    gap = "\n\n" if special[True] == special[False] else ""
    if kind.uses_lm_head:  # the token that begins a text; nothing closes it
        special[False] = min(1, special[False])

    def count(text: str, most: int) -> int:
        """Tokens of a text, read no further than shows that they are more than `most`."""
        for letters in (8 * most, A_TOKEN * most):
            if len(text) > letters:
                head = text[:letters].rpartition(" ")[0] or text[:letters]
                if (tokens := _tokens(tokenizer, head)) >= most:
                    return tokens
        return _tokens(tokenizer, text)

    def size(example: Example, length: int) -> int:
        two = kind.two_texts(example)
        others = [gap * two + other for other in kind.prompt_ends(example)]
        longest = max(count(other, length) for other in others)
        return special[two] + count(example.text, length) + longest + reserved

    return size


def _tokens(tokenizer: Any, text: str) -> int:
    tokens: int = len(tokenizer.encode(well_formed(text), add_special_tokens=False))
    return tokens


def _letters(example: Example) -> int:
    return len(example.text) + len(example.second)


def _has_text(example: Example) -> bool:
    parts = (example.text, example.second, *example.choices)
    return any(part.strip() for part in parts)


def check_reach(
    task: Task, backbone: Backbone, lengths: Sequence[int], tested: int | str, seed: int, where: str
) -> list[str]:
    """Return a warning for each length that less than half of the test texts reach.

    Without test texts (a study of learning rates) the validation texts are counted.

    Args:
        task: with its data there.
        backbone: whose tokenizer counts.
        lengths: in tokens, special tokens included.
        tested: how many test texts a cell evaluates, or "all".
        seed: of the sweep; the test split is the same for all.
        where: the sweep file and its key of the lengths, for messages.

    Raises:
        BadInput: no text reaches a length, and the task does not declare that it reads whole texts.
    """
    metadata = task.metadata
    if metadata.whole_texts:
        return []
    size = token_size(backbone, metadata)
    warnings = []
    for length in lengths:
        splits = task.splits(length, seed)
        part, examples = ("test", splits.test) if tested != 0 else ("validation", splits.validation)
        most = len(examples) if not isinstance(tested, int) or not tested else tested
        chosen = examples if most >= len(examples) else examples[:most]
        if not len(chosen):
            continue
        seen = planned_reach(task, size, length, chosen)
        name = metadata.name
        if not seen.share and not any(map(_has_text, chosen)):
            raise BadInput(
                f"{where}: {length}: the {len(chosen):,} evaluated {part} texts of the task "
                f"'{name}' are empty: check the data or the plug-in that reads them"
            )
        if not seen.share and seen.longest < max(MIN_LENGTH, metadata.min_length):
            raise BadInput(
                f"{where}: {length}: the longest of the {len(chosen):,} evaluated {part} "
                f"texts of the task '{name}' has {seen.longest} tokens, fewer than the shortest "
                f"length of that task, {max(MIN_LENGTH, metadata.min_length)}: check the data, or "
                f"{_WHOLE}"
            )
        if not seen.share:
            raise BadInput(
                f"{where}: {length}: none of the {len(chosen):,} evaluated {part} texts "
                f"of the task '{name}' has {length} tokens; the longest has {seen.longest}. Use "
                f"lengths up to {seen.longest}, or {_WHOLE}"
            )
        if seen.share < 0.5:
            warnings.append(
                f"{where}: {length}: only {seen.share:.1%} of the {part} texts of the "
                f"task '{name}' have {length} tokens ({seen.texts:,} counted); the others are "
                f"shorter and are read whole"
            )
    return warnings
