"""Reading a report's page strictly, and checking that nothing in it runs or fetches."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from reports.blocks import Block, Picture, Table
from reports.figures.interactive import library
from reports.page import build_report
from tests.reports.conftest import write_run

VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclass
class Node:
    """An element with its attributes, its children and the text right inside it."""

    tag: str
    attributes: dict[str, str]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, with single spaces."""
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return re.sub(r"\s+", " ", "".join(parts)).strip()

    @property
    def raw(self) -> str:
        """The text as it is."""
        return "".join(c if isinstance(c, str) else c.raw for c in self.children)

    def all(self, tag: str = "") -> list[Node]:
        """Elements below of this kind, or of any."""
        found: list[Node] = []
        for child in self.children:
            if isinstance(child, Node):
                found += [child] if tag in ("", child.tag) else []
                found += child.all(tag)
        return found


class Tree(HTMLParser):
    """A strict reader: every element must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert self._open == [self.root], f"not closed: {self._open[-1].tag}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute twice: {tag} {names}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read(page: Path) -> Node:
    return Tree(page.read_text(encoding="utf-8")).root


def section(root: Node, anchor: str) -> Node:
    (found,) = [s for s in root.all("section") if s.attributes["aria-labelledby"] == anchor]
    return found


def anchors(root: Node) -> list[str]:
    return [s.attributes["aria-labelledby"] for s in root.all("section")]


def rows(table: Node) -> list[list[str]]:
    return [[c.text for c in row.children if isinstance(c, Node)] for row in table.all("tr")]


def report(folder: Path, cells: list[dict[str, Any]], **about: Any) -> Node:
    return read(build_report([write_run(folder, cells, **about)], folder / "report"))


def check_harmless(root: Node) -> None:
    """Only the page's own scripts run and nothing is fetched: only what the template has."""
    allowed = """html head meta title style body a header h1 h2 h3 p dl div dt dd section ul li nav
        main figure img figcaption span details summary table thead tbody tr th td pre script
        noscript template svg line label select option input"""
    named = """lang charset name content http-equiv class href id aria-labelledby aria-label
        tabindex role src alt width height scope hidden data-figure type value style"""
    drawn = """x1 x2 y1 y2 stroke-width"""
    for node in root.all():
        assert node.tag in allowed.split(), node.tag
        names = [*named.split(), *(drawn.split() if node.tag == "line" else [])]
        assert set(node.attributes) <= set(names), node.attributes
        if "src" in node.attributes:
            assert node.attributes["src"].startswith("data:image/png;base64,")
        assert re.fullmatch(r"--rows: \d+", node.attributes.get("style", "--rows: 0"))
        href = node.attributes.get("href", "#")
        assert href.startswith("#") or re.match(r"^[\w.%/~-]+$", href), href
        assert not href.startswith("/")
    ids = [node.attributes["id"] for node in root.all() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    (policy,) = [
        m.attributes["content"]
        for m in root.all("meta")
        if m.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    scripts = {s.raw for s in root.all("script") if not s.attributes.get("type")}
    hashes = {hash_of(script) for script in scripts} | {hash_of(library())}
    assert set(rules["script-src"].split()) == hashes
    assert len(scripts) == 1
    data = [s for s in root.all("script") if s.attributes.get("type") == "application/json"]
    for one in data:
        assert "<" not in one.raw
        json.loads(one.raw)
    (style,) = root.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def hash_of(script: str) -> str:
    """What a policy allows a script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def data_of(root: Node, name: str) -> Any:
    """The data of the page under a name."""
    (found,) = [s for s in root.all("script") if s.attributes.get("id") == f"data-{name}"]
    packed = found.attributes["type"] == "text/plain"
    return json.loads(gzip.decompress(base64.b64decode(found.raw)) if packed else found.raw)


def captions(blocks: Sequence[Block]) -> list[str]:
    """The captions of tables and figures among blocks."""
    return [block.caption for block in blocks if isinstance(block, Table | Picture)]
