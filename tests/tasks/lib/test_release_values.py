"""Values in the release that are wrong, and names that are not to be printed, are named."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tasks import TaskError, load_task
from tasks.builtin.lra.lra_image import RECORD
from tests.tasks.release_folder import listops, paths, photos


def test_a_label_that_is_none_is_named_with_its_file(release: Path) -> None:
    path = photos(release)
    data = bytearray(path.read_bytes())
    data[RECORD * 3] = 77
    path.write_bytes(data)
    train, validation, _ = load_task("lra_image").splits(1026, 0)
    with pytest.raises(TaskError) as error:
        list(chain(train, validation))
    message = str(error.value)
    assert message.startswith(f"lra_image: {path}, image 4: the label 77 is none of 0 to 9: ")
    assert "cifar-10-binary.tar.gz" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "source",
    [
        "( ( ( [MAX 2 ) 2 ) 7 )",  # not closed
        "[MAX 2 [MIN 3 4 ]",
        "[MAX 2 3 ] ]",
        "[MAX 2 3 ] 4",  # goes on after its end
        "[MAX 2 3 ] [MIN 4 5 ]",
        "2 3",
        "]",
        "[MAX ]",  # of nothing
        "[MAX 2 [MIN ] ]",
        "( ( ( [MAX 2 ) 3 ) ]",  # a parenthesis is lost
        "( [MAX 2 3 ] ) )",
        "",
    ],
)
def test_what_is_no_whole_expression_is_named(source: str, release: Path) -> None:
    path = listops(release, 5)
    path.write_text(f"Source\tTarget\r\n{source}\t3\r\n", encoding="utf-8", newline="")
    with pytest.raises(TaskError) as error:
        load_task("lra_listops").prepare()
    assert str(error.value) == (
        f"lra_listops: {path}, line 2: not an expression with its value: unpack it again"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("( ( ( [MAX 2 ) 9 ) ] )", "max 2 9 ]"),
        ("[SM 1 ( ( ( [MED 2 ) 3 ) ] ) 4 ]", "sum 1 med 2 3 ] 4 ]"),
        ("7", "7"),
    ],
)
def test_what_is_one_is_read(source: str, text: str, release: Path) -> None:
    path = listops(release, 5)
    path.write_text(f"Source\tTarget\r\n{source}\t3\r\n", encoding="utf-8", newline="")
    assert [e.text for e in load_task("lra_listops").splits(2000, 0).validation] == [text]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sample\x1b[31m_7.png", "imgs/3/sample\\x1b[31m_7.png"),
        ("sample\x00_7.png", "imgs/3/sample\\x00_7.png"),
        ("sample\u202e_7.png", "imgs/3/sample\\u202e_7.png"),
    ],
)
def test_names_that_are_not_to_be_printed_are_refused(name: str, shown: str, release: Path) -> None:
    path = paths(release, 32, 20)
    lines = path.read_text(encoding="utf-8").replace("sample_7.png", name)
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(TaskError) as error:
        load_task("lra_pathfinder").prepare()
    message = str(error.value)
    assert message.isprintable()
    assert f"{path}, line 8: {shown} is no plain name" in message


def test_names_of_lists_are_shown_harmlessly(release: Path) -> None:
    path = paths(release, 32, 20)
    path.rename(path.with_name("\x1b[31m3.npy")).write_text("imgs/3 a.png 1\n", encoding="utf-8")
    with pytest.raises(TaskError, match="line 1: no image with its label") as error:
        load_task("lra_pathfinder").prepare()
    assert str(error.value).isprintable()
