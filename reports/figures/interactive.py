"""Figures for the page: a description as data and layout for plotly.

The places of panels are not in it: the page arranges them by its width.
"""

from __future__ import annotations

import gzip
import html
import json
import math
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from reports.figures.describe import Axis, Bar, Chart, Colours, Curve, Key, Level, Look, Panel, Tile

Json = dict[str, Any]


@dataclass(frozen=True)
class Symbol:
    """A marker: its name in plotly, and signs for the legend, filled and hollow."""

    name: str
    filled: str
    hollow: str


SYMBOLS = {
    "o": Symbol("circle", "●", "○"),
    "s": Symbol("square", "■", "□"),
    "D": Symbol("diamond", "◆", "◇"),
    "d": Symbol("diamond-tall", "⬧", "⬨"),
    "P": Symbol("cross", "✚", "✛"),
    "*": Symbol("star", "★", "☆"),
    "^": Symbol("triangle-up", "▲", "△"),
    "v": Symbol("triangle-down", "▼", "▽"),
    "<": Symbol("triangle-left", "◀", "◁"),
    ">": Symbol("triangle-right", "▶", "▷"),
    "X": Symbol("x", "✖", "✕"),
    "x": Symbol("x-thin-open", "×", "×"),
    "p": Symbol("pentagon", "⬟", "⬠"),
    "h": Symbol("hexagon2", "⬢", "⬡"),
    "H": Symbol("hexagon", "⬢", "⬡"),
    "8": Symbol("octagon", "⯃", "⯃"),
    "_": Symbol("line-ew-open", "–", "–"),
    ".": Symbol("circle", "•", "•"),
    "": Symbol("circle", "", ""),
}
_DASHES = {"-": "solid", "--": "dash", ":": "dot", "": "solid"}
_MARK = 1.9
"""CSS pixels of a marker for each point of print."""
_LINE = 1.6


def interactive(chart: Chart) -> Json:
    """Traces and layout. Panel k has the axes `xk` and `yk`, from 1; `rows` lists the panels."""
    data: list[Json] = []
    layout: Json = {"annotations": []}
    rows: list[list[int]] = []
    number = 0
    for row in chart.rows:
        rows.append([])
        for panel in row:
            number += 1
            rows[-1].append(number)
            data += _traces(panel, number, chart.colours)
            _add_axes(layout, panel, number)
    return {
        "data": data,
        "layout": layout,
        "rows": rows,
        "heights": list(chart.heights),
        "size": [chart.width, chart.height],
        "legend": [entry_of(key, chart.lines) for key in chart.legend],
    }


def as_json(value: Any) -> str:
    """JSON that can be a part of a page: no `<` ends its element; numbers have 7 digits."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def library() -> str:
    """The source of plotly.js, with the kinds of traces that figures use (`reports/vendor`)."""
    path = Path(__file__).parents[1] / "vendor" / "plotly-cartesian.min.js"
    return path.read_text(encoding="utf-8")


@cache
def packed_library() -> str:
    """plotly.js for the page, which unpacks it when its first figure is seen."""
    return packed(library())


def packed(text: str) -> str:
    """A text, compressed, in base64: the page unpacks it."""
    return b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode("ascii")


def escaped(text: str) -> str:
    """A text for plotly, which reads a part of HTML."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _traces(panel: Panel, number: int, colours: Colours | None) -> list[Json]:
    place = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    traces = [_level(level, panel.x) for level in panel.levels]
    for curve in panel.curves:
        traces += _curve(curve)
    bars = sorted(panel.bars, key=lambda bar: bar.name)
    order = list(dict.fromkeys(bar.name for bar in panel.bars))
    parts = {name: list(own) for name, own in groupby(bars, lambda bar: bar.name)}
    traces += [_bars(parts[name]) for name in order]
    if panel.labels:
        traces.append(_texts(panel))
    if panel.tiles and colours:
        traces.append(_tiles(panel.tiles, colours))
    return [trace | place for trace in traces]


def _curve(curve: Curve) -> list[Json]:
    look = curve.look
    trace: Json = {
        "type": "scatter", "name": curve.name, "legendgroup": curve.name, "meta": curve.gid,
        "x": curve.x, "y": curve.y, "mode": _mode(look, any(curve.texts)), **style_of(look),
        "cliponaxis": curve.kind != "failure",
    }  # fmt: skip
    if any(curve.texts):
        side = "middle left" if curve.left else "middle right"
        trace |= {"text": [escaped(t) for t in curve.texts], "textposition": side}
    trace |= _hover(curve.labels)
    if not curve.low:
        return [trace]
    if curve.band:
        band = {
            "type": "scatter", "name": curve.name, "legendgroup": curve.name, "mode": "none",
            "meta": f"band:{curve.name}", "x": [*curve.x, *reversed(curve.x)],
            "y": [*curve.high, *reversed(curve.low)], "fill": "toself", "hoverinfo": "skip",
            "fillcolor": "rgba(140,140,140,0.2)",
        }  # fmt: skip
        return [band, trace]
    trace["error_y"] = {
        "type": "data", "symmetric": False, "color": look.colour, "thickness": 1.2, "width": 3,
        "array": [max(0.0, high - y) for y, high in zip(curve.y, curve.high, strict=True)],
        "arrayminus": [max(0.0, y - low) for y, low in zip(curve.y, curve.low, strict=True)],
    }  # fmt: skip
    return [trace]


def _level(level: Level, x: Axis) -> Json:
    return {
        "type": "scatter", "name": level.name, "legendgroup": level.name,
        "meta": level.mark or f"level:{level.name}", "x": x.limits,
        "y": [level.value, level.value], "mode": "lines", **style_of(level.look),
        **_hover((level.name, level.name) if level.name else ()),
    }  # fmt: skip


def _bars(bars: list[Bar]) -> Json:
    return {
        "type": "bar", "name": bars[0].name, "legendgroup": bars[0].name,
        "meta": f"part:{bars[0].name}", "x": [bar.column for bar in bars],
        "y": [bar.height for bar in bars], "base": [bar.base for bar in bars], "width": 0.8,
        "marker": {"color": bars[0].colour}, "text": [bar.text for bar in bars],
        "textposition": "inside", "textangle": 0, "insidetextanchor": "middle",
        **_hover([bar.label for bar in bars]),
    }  # fmt: skip


def _texts(panel: Panel) -> Json:
    return {
        "type": "scatter", "mode": "text", "meta": "labels", "name": "",
        "x": [label.x for label in panel.labels], "y": [label.y for label in panel.labels],
        "text": [escaped(label.text) for label in panel.labels], "textposition": "top center",
        "hoverinfo": "skip", "cliponaxis": False,
    }  # fmt: skip


def _tiles(tiles: Iterable[Tile], colours: Colours) -> Json:
    own = [tile for tile in tiles if tile.value is not None]
    low, high = colours.limits
    return {
        "type": "heatmap", "meta": "tiles", "name": "", "x": [tile.column for tile in own],
        "y": [tile.row for tile in own], "z": [tile.value for tile in own], "zmin": low,
        "zmax": high, "colorscale": "Cividis", "reversescale": not colours.higher_is_better,
        "showscale": False, "xgap": 2, "ygap": 2, "text": [escaped(t.text) for t in own],
        "texttemplate": "%{text}", "hoverongaps": False, **_hover([tile.label for tile in own]),
    }  # fmt: skip


def _hover(labels: Iterable[str]) -> Json:
    texts = [escaped(label) for label in labels]
    return {"hovertext": texts, "hoverinfo": "text"} if any(texts) else {"hoverinfo": "skip"}


def _mode(look: Look, texts: bool) -> str:
    parts = [("lines", look.line), ("markers", look.marker), ("text", texts)]
    return "+".join(name for name, shown in parts if shown) or "none"


def style_of(look: Look) -> Json:
    """Line and marker of a trace."""
    stroked = look.hollow or look.clear or look.marker in ("x", "_")
    small = look.marker == "."
    marker = {
        "symbol": SYMBOLS[look.marker].name + ("-open" if look.clear else ""),
        "size": max(3.0, look.size * (1.3 if small else _MARK)),
        "color": look.colour,
        "line": {"width": 1.8 if stroked else 0, "color": look.colour},
    }
    if look.hollow:
        marker["hollow"] = True  # the page fills it with its background
    line = {"color": look.colour, "width": look.width * _LINE, "dash": _dash(look.line)}
    return {"line": line, "marker": marker}


def _dash(line: Any) -> str:
    if isinstance(line, tuple):
        return ",".join(f"{1.7 * length:g}px" for length in line[1])
    return _DASHES[line]


def _add_axes(layout: Json, panel: Panel, number: int) -> None:
    layout[f"xaxis{number}"] = _axis(panel.x)
    layout[f"yaxis{number}"] = _axis(panel.y)
    place = {"xref": f"x{number} domain", "yref": f"y{number} domain", "showarrow": False}
    notes = layout["annotations"]
    if panel.title:
        notes.append({
            **place, "text": f"<b>{escaped(panel.title)}</b>", "x": 0.5, "y": 1,
            "xanchor": "center", "yanchor": "bottom", "yshift": 4,
        })  # fmt: skip
    if panel.empty:
        notes.append({**place, "text": escaped(panel.empty), "x": 0.5, "y": 0.5})
    for upper in (False, True):
        for row, note in enumerate(note for note in panel.notes if note.upper is upper):
            notes.append({
                **place, "text": escaped(note.text), "x": 1, "y": int(upper), "xanchor": "right",
                "yanchor": "top" if upper else "bottom", "small": True,
                "yshift": (-1 if upper else 1) * (4 + 15 * row),
            })  # fmt: skip
    within = {"xref": f"x{number}", "yref": f"y{number}", "showarrow": False}
    for tile in panel.tiles:
        if tile.value is None and tile.text:
            notes.append({
                **within, "x": tile.column, "y": tile.row, "text": escaped(tile.text),
                "hovertext": escaped(tile.label), "warn": True,
            })  # fmt: skip


def _axis(axis: Axis) -> Json:
    log = axis.scale != "linear"
    limits = [math.log10(end) for end in axis.limits] if log else list(axis.limits)
    found: Json = {
        "type": "log" if log else "linear", "range": limits, "showticklabels": axis.shown,
        "showgrid": axis.grid, "title": {"text": escaped(axis.label)}, "zeroline": False,
        "small": axis.small,
    }  # fmt: skip
    if axis.ticks is not None:
        found["tickvals"] = [place for place, _ in axis.ticks]
        found["ticktext"] = [escaped(text) for _, text in axis.ticks]
    elif axis.numbers:
        found["tickformat"] = axis.numbers.replace("g", "~g")
    if axis.slanted:
        found["tickangle"] = -45
    return found


def entry_of(key: Key, lines: bool = True) -> Json:
    """A legend entry: its text, and what the page draws its sign from."""
    symbol = SYMBOLS[key.look.marker]
    hollow = key.look.hollow or key.look.clear
    line = key.look.line if lines or not key.look.marker else ""
    return {
        "name": key.name,
        "text": key.text,
        "colour": key.look.colour,
        "sign": symbol.hollow if hollow else symbol.filled,
        "patch": key.patch,
        "dash": _dash(line).replace("px", "") if line else None,
    }
