// Interactive figures: plotly draws them from their descriptions when they are seen.
const byId = (id) => document.getElementById(id);
const stored = (id) => (byId(`data-${id}`) ? JSON.parse(byId(`data-${id}`).textContent) : null);
const made = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
};
const darkMode = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => darkMode.matches && !root.classList.contains("printing");
const coarse = matchMedia("(pointer: coarse)");
const theme = (name) => getComputedStyle(root).getPropertyValue(name).trim();

const unpacked = (id) => {
  const text = atob(byId(`data-${id}`).textContent);
  const packed = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k += 1) packed[k] = text.charCodeAt(k); // ten times as fast as `from`
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
};

let library;
const plotly = () => {
  library ??= (async () => {
    const script = document.createElement("script");
    script.textContent = await unpacked("plotly").text();
    document.head.append(script);
    return window.Plotly;
  })();
  return library;
};

// Light or dark: a colour with too little contrast to a dark background is mixed with white.
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((c) => (c <= 10 ? c / 3295 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const seen = (hex) => {
  if (!isDark() || !/^#[0-9a-f]{6}$/i.test(hex)) return hex;
  let rgb = channels(hex);
  if (luminance(rgb) < 0.02) return "#dcdcda"; // black: else it would be the grey of baselines
  while (luminance(rgb) < 0.24) rgb = rgb.map((c) => c + 0.1 * (255 - c));
  return "#" + rgb.map((c) => Math.round(c).toString(16).padStart(2, "0")).join("");
};

const dressedTrace = (trace, hidden) => {
  const own = { ...trace, visible: !hidden.has(trace.legendgroup) };
  if (trace.line) own.line = { ...trace.line, color: seen(trace.line.color) };
  if (trace.error_y) own.error_y = { ...trace.error_y, color: seen(trace.error_y.color) };
  if (trace.marker && trace.type === "scatter") {
    const colour = seen(trace.marker.color);
    own.marker = { ...trace.marker, color: trace.marker.hollow ? theme("--page") : colour };
    own.marker.line = { ...trace.marker.line, color: colour };
    delete own.marker.hollow;
  }
  if (trace.type === "bar") {
    own.marker = { ...trace.marker, line: { width: 1, color: theme(isDark() ? "--axis" : "--page") } };
  }
  if (own.mode && own.mode.includes("text")) own.textfont = { color: theme("--ink"), size: 11 };
  return own;
};

const dressedAxis = (axis) => {
  const own = {
    ...axis, gridcolor: theme("--grid"), linecolor: theme("--axis"), tickcolor: theme("--axis"),
    showline: true, ticks: axis.small || !axis.showticklabels ? "" : "outside", automargin: false,
    title: { ...axis.title, standoff: 8, font: { size: 12.5 } }, tickfont: { size: axis.small ? 10.5 : 11.5 },
    nticks: 7, fixedrange: coarse.matches,
  };
  delete own.small;
  return own;
};

// Places of the panels for a width in CSS pixels: side by side if there is room.
const columnsOf = (figure, width) => {
  const { rows, heights } = figure;
  const most = Math.max(...rows.map((row) => row.length));
  const fitting = Math.max(1, Math.min(most, Math.floor(width / 250)));
  if (fitting >= most) return { rows, heights: heights.length ? heights : rows.map(() => 1) };
  if (heights.length) { // a strip stays below its panel
    const pairs = rows[0].flatMap((_, column) => rows.map((row) => [row[column]]));
    return { rows: pairs, heights: pairs.map((_, k) => heights[k % heights.length]) };
  }
  const every = rows.flat();
  const split = [];
  for (let at = 0; at < every.length; at += fitting) split.push(every.slice(at, at + fitting));
  return { rows: split, heights: split.map(() => 1) };
};

const arranged = (figure, width) => {
  const layout = {
    annotations: figure.layout.annotations.map((note) => {
      const own = { ...note, font: { size: note.small ? 10.5 : note.warn ? 11.5 : 12.5 } };
      if (note.small) own.font.color = theme("--quiet");
      if (note.warn) own.font.color = theme("--warn");
      delete own.small;
      delete own.warn;
      return own;
    }),
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, barmode: "overlay",
    font: { family: "system-ui, sans-serif", size: 12, color: theme("--ink") }, hovermode: "closest",
    dragmode: coarse.matches ? false : "zoom", uirevision: "kept",
    hoverlabel: { bgcolor: theme("--soft"), bordercolor: theme("--axis"), align: "left",
      font: { color: theme("--ink"), size: 12 } },
  };
  const { rows, heights } = columnsOf(figure, width);
  const axes = { ...figure.layout };
  const source = (letter, number) => axes[`${letter}axis${number}`];
  if (rows.length > figure.rows.length && !figure.heights.length) { // other panels are at the edges
    const [first, last] = [figure.rows[0][0], figure.rows.at(-1).at(-1)];
    const named = (letter, number, like, shown) => {
      const own = source(letter, number);
      axes[`${letter}axis${number}`] = {
        ...own, showticklabels: shown || (letter === "x" && own.showticklabels && Boolean(own.tickangle)),
        title: shown ? source(letter, like).title : { text: "" },
      };
    };
    const [left, below] = [rows.map((row) => row[0]), rows.flatMap((row, k) => row.filter((_, c) => !rows[k + 1]?.[c]))];
    for (const number of rows.flat()) {
      if (number !== first) named("y", number, first, left.includes(number));
      if (number !== last) named("x", number, last, below.includes(number));
    }
  }
  const ticks = (axis) => (axis.ticktext || []).map((text) => text.split("<br>"));
  const longest = (axis) => Math.max(4, ...ticks(axis).flat().map((line) => line.length));
  const left = (number) => {
    const axis = source("y", number);
    const named = axis.title.text ? 26 + 15 * (axis.title.text.split("<br>").length - 1) : 0;
    return named + (axis.showticklabels ? 12 + (axis.small ? 5.9 : 6.6) * longest(axis) : 6);
  };
  const below = (number) => {
    const axis = source("x", number);
    const lines = Math.max(1, ...ticks(axis).map((parts) => parts.length));
    const text = axis.tickangle ? 14 + 5 * longest(axis) : 8 + 15 * lines;
    return (axis.showticklabels ? text : 4) + (axis.title.text ? 24 : 0) + 4;
  };
  const titled = (number) => figure.layout.annotations.some(
    (note) => note.xref === `x${number} domain` && note.y === 1 && note.yanchor === "bottom");
  const whole = Math.max(...heights);
  const unit = Math.max(150, (figure.size[1] / Math.ceil(rows.length ? figure.rows.length / (figure.heights.length || 1) : 1)) * 96);
  const places = [];
  let top = 4;
  for (const [k, row] of rows.entries()) {
    const above = row.some(titled) ? 26 : 6;
    const share = heights[k] / whole;
    const tall = share === 1 ? unit * 0.86 : Math.max(20, heights[k] * 140);
    const wide = Math.max(...rows.map((one) => one.length));
    const lefts = Array.from({ length: wide }, (_, c) => Math.max(...rows.map((one) => (one[c] ? left(one[c]) : 0))));
    const free = (width - lefts.reduce((a, b) => a + b, 0) - 14 * wide) / wide;
    let x = 0;
    for (const [c, number] of row.entries()) {
      x += lefts[c];
      places.push({ number, x0: x, x1: x + free, y0: top + above, y1: top + above + tall });
      x += free + 14;
    }
    top += above + tall + Math.max(...row.map(below));
  }
  layout.width = width;
  layout.height = Math.round(top);
  layout.margin = { l: 0, r: 0, t: 0, b: 0 };
  for (const { number, x0, x1, y0, y1 } of places) {
    for (const [letter, other, domain] of [
      ["x", "y", [x0 / width, x1 / width]], ["y", "x", [1 - y1 / top, 1 - y0 / top]],
    ]) {
      const axis = dressedAxis(source(letter, number));
      layout[`${letter}axis${number}`] = { ...axis, domain, anchor: `${other}${number}` };
    }
  }
  return layout;
};

let figures;
const descriptions = () => {
  figures ??= unpacked("figures").json();
  return figures;
};

class Plot {
  constructor(box, figure, legend) {
    Object.assign(this, { box, figure, legend, hidden: new Set(), width: 0 });
    if (legend) this.drawLegend();
    new ResizeObserver(() => {
      if (this.width && box.clientWidth && box.clientWidth !== this.width) this.draw();
    }).observe(box);
    darkMode.addEventListener("change", () => this.width && (this.drawLegend(), this.draw()));
  }

  async draw(width) {
    const Plotly = await plotly();
    if (!width && !this.box.clientWidth) return; // in print
    this.width = width ?? this.box.clientWidth;
    const layout = arranged(this.figure, this.width);
    const data = this.figure.data.map((trace) => dressedTrace(trace, this.hidden));
    await Plotly.react(this.box, data, layout, { displayModeBar: false, responsive: false });
    this.box.dataset.drawn = "yes";
  }

  drawLegend() {
    this.legend.replaceChildren(...this.figure.legend.map((entry) => {
      const button = made("button", { type: "button", "aria-pressed": String(!this.hidden.has(entry.name)) },
        swatch(entry), entry.text);
      button.addEventListener("click", () => {
        const shown = this.hidden.delete(entry.name) || !this.hidden.add(entry.name);
        button.setAttribute("aria-pressed", String(shown));
        this.draw();
      });
      return made("li", {}, button);
    }));
    this.legend.hidden = !this.figure.legend.length;
  }
}

const swatch = (entry) => {
  const colour = entry.patch ? entry.colour : seen(entry.colour);
  const mark = made("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.color = colour;
  if (entry.dash) {
    const svg = byId("swatch").content.firstElementChild.cloneNode(true);
    const dash = { solid: "", dash: "6 3", dot: "2 3" }[entry.dash] ?? entry.dash;
    svg.firstElementChild.setAttribute("stroke", colour);
    svg.firstElementChild.setAttribute("stroke-dasharray", dash);
    mark.append(svg);
  }
  if (entry.sign) mark.append(made("span", { class: entry.patch ? "sign patch" : "sign" }, entry.sign));
  return mark;
};

const PAPER = 660; // width between the margins of A4, in CSS pixels
const startFigures = () => {
  const live = []; // figures without a picture
  const shown = async (target) => {
    const box = target.querySelector(".plot");
    try {
      const figure = (await descriptions())[box.dataset.figure];
      const plot = new Plot(box, figure, target.querySelector(".legend"));
      if (target.classList.contains("live")) live.push(plot);
      box.hidden = false;
      target.classList.add("drawn");
      await plot.draw();
    } catch (error) { // the picture stays
      target.classList.remove("drawn");
      target.classList.add("failed");
      box.hidden = true;
      console.error(error);
    }
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      shown(target);
    }
  }, { rootMargin: "300px" });
  for (const box of document.querySelectorAll("figure .plot")) {
    box.hidden = !box.closest(".live"); // it keeps the place of the figure
    watcher.observe(box.closest("figure"));
  }
  const print = (on) => () => {
    root.classList.toggle("printing", on); // paper is light
    live.forEach((plot) => (plot.drawLegend(), plot.draw(on ? PAPER : undefined)));
  };
  addEventListener("beforeprint", print(true));
  addEventListener("afterprint", print(false));
};
