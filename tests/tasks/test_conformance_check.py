"""The check of conformance sees each way of breaking the contract."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from tasks import Example, Splits, Task, TaskMetadata, conformance
from tasks.conformance import violations


def _words(draw: random.Random) -> str:
    return " ".join(str(draw.randrange(10**6)) for _ in range(30))


class _Right(Task):
    """A task that conforms, for the others to break."""

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="right",
        title="t",
        description="d",
        labels=("first", "second"),
        source="s",
        revision="1",
        licence="l",
        citation="c",
        natural_length=30,
        lengths=(32,),
        balanced=True,
    )

    def parts(self, seed: int) -> dict[str, list[Example]]:
        draw = random.Random(0)
        parts = {
            part: [Example(f"{part}{i}", _words(draw), i % 2) for i in range(40)]
            for part in Splits._fields
        }
        random.Random(seed).shuffle(parts["train"])
        return parts

    def splits(self, length: int, seed: int) -> Splits:
        return Splits(**self.parts(seed))


class _Pairs(_Right):
    metadata = _Right.metadata.model_copy(update={"name": "pairs", "family": "pair"})

    def parts(self, seed: int) -> dict[str, list[Example]]:
        draw = random.Random(9)
        parts = super().parts(seed)
        for part in parts.values():
            part.sort()
            part[:] = [e._replace(second=_words(draw)) for e in part]
        random.Random(seed).shuffle(parts["train"])
        return parts


class _Several(_Right):
    metadata = _Right.metadata.model_copy(update={"name": "several", "family": "multilabel"})

    def parts(self, seed: int) -> dict[str, list[Example]]:
        kinds: list[tuple[int, ...]] = [(), (0,), (1,), (0, 1)]
        return {
            name: [e._replace(label=-1, labels=kinds[int(e.id[len(name) :]) % 4]) for e in part]
            for name, part in super().parts(seed).items()
        }


class _Choices(_Right):
    metadata = _Right.metadata.model_copy(
        update={"name": "choices", "family": "choice", "labels": ()}
    )

    def parts(self, seed: int) -> dict[str, list[Example]]:
        return {
            name: [e._replace(second="which?", choices=("one", "two")) for e in part]
            for name, part in super().parts(seed).items()
        }


Change = Callable[[dict[str, list[Example]], int], None]


def _broken(change: Change, right: type[_Right] = _Right) -> Task:
    class Broken(right):  # type: ignore[misc,valid-type]
        def parts(self, seed: int) -> dict[str, list[Example]]:
            parts: dict[str, list[Example]] = super().parts(seed)
            change(parts, seed)
            return parts

    return Broken()


@pytest.mark.parametrize("right", [_Right, _Pairs, _Several, _Choices])
def test_a_right_task_has_no_violations(right: type[_Right]) -> None:
    assert violations(right(), 32) == []


def _copy(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"][0] = parts["train"][0]._replace(text=parts["test"][0].text)


def _quote(parts: dict[str, list[Example]], seed: int) -> None:
    quoted = " ".join(parts["test"][3].text.split()[:15])
    example = parts["validation"][3]
    parts["validation"][3] = example._replace(text=f"re {quoted} {_words(random.Random(5))}")


def _range(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(label=2)


def _empty(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(text=" ")


def _same_id(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(id=parts["test"][1].id)


def _unbalanced(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"] = [e._replace(label=int(e.id[5:] in {"0", "1", "2"})) for e in parts["train"]]


def _one_label(parts: dict[str, list[Example]], seed: int) -> None:
    parts["validation"] = [e._replace(label=1) for e in parts["validation"]]


def _moving_test(parts: dict[str, list[Example]], seed: int) -> None:
    random.Random(seed).shuffle(parts["test"])


def _deaf(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"].sort()


def _by_chance(parts: dict[str, list[Example]], seed: int) -> None:
    random.shuffle(parts["train"])


def _header(parts: dict[str, list[Example]], seed: int) -> None:
    for i in range(0, 40, 10):
        example = parts["test"][i]
        parts["test"][i] = example._replace(text=f"Group: First. {example.text}")


def _nothing(parts: dict[str, list[Example]], seed: int) -> None:
    parts["validation"].clear()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_copy, "train and test share 1 texts"),
        (_quote, "validation and test share 1 near-duplicates"),
        (_range, "test has a label out of range"),
        (_empty, "test has an empty text"),
        (_same_id, "test has two examples with one id"),
        (_unbalanced, "balanced is stated as True"),
        (_one_label, "validation has no example of first"),
        (_moving_test, "the seed changes the validation or the test split"),
        (_deaf, "the seed does not change the order"),
        (_by_chance, "two readings with one seed differ"),
        (_header, "'first' begins"),
        (_nothing, "validation is empty"),
    ],
)
def test_each_way_of_breaking_the_contract_is_seen(change: Change, complaint: str) -> None:
    found = violations(_broken(change), 32)
    assert any(complaint in line for line in found), found


def _first(**fields: Any) -> Change:
    """Give the first test example other fields."""

    def change(parts: dict[str, list[Example]], seed: int) -> None:
        parts["test"][0] = parts["test"][0]._replace(**fields)

    return change


def _copy_pair(parts: dict[str, list[Example]], seed: int) -> None:
    other = parts["test"][1]
    parts["validation"][1] = parts["validation"][1]._replace(text=other.text, second=other.second)


def _swap_pair(parts: dict[str, list[Example]], seed: int) -> None:
    other = parts["test"][1]
    parts["validation"][1] = parts["validation"][1]._replace(
        text=f"{other.second} more", second=f"new {other.text}"
    )


def _name_in_the_second(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"] = [
        e if e.label else e._replace(second=f"first {e.second}") for e in parts["test"]
    ]


def _same_passage(parts: dict[str, list[Example]], seed: int) -> None:
    parts["validation"][1] = parts["validation"][1]._replace(text=parts["test"][1].text)


def _always_first(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"] = [e._replace(label=0) for e in parts["train"]]


@pytest.mark.parametrize(
    ("right", "change", "complaint"),
    [
        (_Right, _first(second="more"), "test fills 'second', which the family classification"),
        (_Right, _first(choices=("a", "b")), "test fills 'choices'"),
        (_Right, _first(labels=(0,)), "test fills 'labels'"),
        (_Pairs, _first(second=" "), "test has an empty second text"),
        (_Pairs, _first(label=2), "test has a label out of range"),
        (_Pairs, _copy_pair, "validation and test share 1 texts"),
        (_Pairs, _swap_pair, "validation and test share 1 near-duplicates"),
        (_Pairs, _name_in_the_second, "'first' begins"),
        (_Several, _first(labels=(2,)), "test has a label out of range"),
        (_Several, _first(labels=(1, 0)), "test has labels that do not rise"),
        (_Several, _first(labels=(1, 1)), "test has labels that do not rise"),
        (_Several, _first(second="x"), "test fills 'second'"),
        (_Several, _copy, "train and test share 1 texts"),
        (_Choices, _first(choices=("one",)), "the same number of choices, two or more: [1, 2]"),
        (_Choices, _first(choices=("one", "two", "three")), "two or more: [2, 3]"),
        (_Choices, _first(choices=("one", "one")), "two equal choices"),
        (_Choices, _first(choices=("one", "")), "an empty choice"),
        (_Choices, _first(label=2), "test has a label out of range"),
        (_Choices, _same_passage, "validation and test share 1 texts"),
        (_Choices, _always_first, "train has no example of answer 2"),
        (_Choices, _always_first, "balanced is stated as True"),
    ],
)
def test_each_way_of_breaking_the_other_families_is_seen(
    right: type[_Right], change: Change, complaint: str
) -> None:
    found = violations(_broken(change, right), 32)
    assert any(complaint in line for line in found), found


def test_texts_that_cannot_fill_a_length_are_seen() -> None:
    class Short(_Right):
        metadata = _Right.metadata.model_copy(update={"natural_length": 5_000, "lengths": (4096,)})

    assert violations(Short(), 32) == []
    (found,) = violations(Short(), 4096)
    assert found.startswith("test texts for 4096 tokens have ")


@pytest.mark.parametrize("catches", [False, True])
def test_a_connection_is_seen(catches: bool) -> None:
    import socket

    class Calls(_Right):
        def splits(self, length: int, seed: int) -> Splits:
            try:
                socket.create_connection(("127.0.0.1", 9), timeout=1)
            except OSError:
                if not catches:
                    raise
            return super().splits(length, seed)

    before = socket.socket.connect, socket.getaddrinfo
    found = violations(Calls(), 32)
    assert found == ["opens a connection to 127.0.0.1, which needs_network does not say"]
    assert (socket.socket.connect, socket.getaddrinfo) == before


def test_work_that_is_done_again_at_every_use_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(_Right):
        def parts(self, seed: int) -> dict[str, list[Example]]:
            for number in range(200_000):
                abs(number)
            return super().parts(seed)

    monkeypatch.setattr(conformance, "CALLS", 100_000)
    (found,) = violations(Slow(), 32)
    assert found.startswith("a second use makes more than 100,000 calls")
    assert violations(_Right(), 32) == []


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (("first", ""), "the class 1 has an empty name"),
        (("first", " "), "the class 1 has an empty name"),
        (("comp", "comp "), "the classes 'comp', 'comp ' differ only in case or white space"),
        (("Comp", "comp"), "the classes 'Comp', 'comp' differ only in case or white space"),
    ],
)
def test_names_of_classes_that_look_like_a_mistake_are_seen(
    labels: tuple[str, ...], complaint: str
) -> None:
    class Named(_Right):
        metadata = _Right.metadata.model_copy(update={"labels": labels})

    (found,) = violations(Named(), 32)
    assert found.startswith(complaint)


def test_what_published_splits_share_is_no_violation() -> None:
    class Published(_Right):
        metadata = _Right.metadata.model_copy(update={"published_splits": True})

    assert violations(_broken(_copy, Published), 32) == []


def test_what_is_no_splits_is_seen() -> None:
    class Tuple(_Right):
        def splits(self, length: int, seed: int) -> Splits:
            return tuple(super().splits(length, seed))  # type: ignore[return-value]

    assert violations(Tuple(), 32) == ["splits() returns a tuple, not Splits"]


def test_a_passage_may_come_with_another_second_text() -> None:
    assert violations(_broken(_same_passage, _Pairs), 32) == []
