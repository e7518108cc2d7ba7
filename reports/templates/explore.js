// The figure that a reader puts together: any two measures, by mean or by seed, with the front.
const startExplorer = () => {
  const box = byId("explorer");
  const data = stored("explore");
  if (!box || !data) return;
  const { groups, measures, columns } = data;
  const control = (id) => byId(`explore-${id}`);
  const rowsOf = (group, mean) => columns.group.map((_, k) => k)
    .filter((k) => columns.group[k] === group && (columns.seed[k] === null) === mean);
  const named = (key, group) => (key === "score" ? groups[group].score : measures[key].label);
  const higher = (key, group) => (key === "score" ? groups[group].higher : measures[key].higher);
  const short = (value) => (Math.abs(value) >= 1e4 || (value && Math.abs(value) < 1e-3)
    ? Number(value.toPrecision(4)).toLocaleString("en", { notation: Math.abs(value) >= 1e6 ? "compact" : "standard", maximumFractionDigits: 3 })
    : String(Number(value.toPrecision(4))));
  const shownValue = (key, value) => short(value) + (measures[key]?.unit ? ` ${measures[key].unit}` : "");

  const options = (select, entries) => {
    const old = select.value;
    select.replaceChildren(...entries.map(([value, text]) => made("option", { value }, text)));
    if (entries.some(([value]) => value === old)) select.value = old;
  };
  const offer = () => {
    const group = Number(control("group").value);
    const has = (key) => columns.group.some((g, k) => g === group && columns[key][k] !== null);
    const keys = Object.keys(measures).filter(has);
    const entries = keys.map((key) => [key, named(key, group)]);
    options(control("y"), entries);
    options(control("x"), entries);
    if (!control("x").dataset.set) {
      control("x").dataset.set = "yes";
      if (keys.includes("length")) control("x").value = "length";
      if (keys.includes("score")) control("y").value = "score";
      else control("y").value = ["memory", "rate", ...keys].find((key) => keys.includes(key) && key !== "length") ?? keys[0];
    }
  };

  // A point is on the front if no other point is as good in both and better in one.
  const front = (points, upX, upY) => {
    const better = (a, b, up) => (up ? a > b : a < b);
    return points.filter((p) => !points.some((q) =>
      (better(q.x, p.x, upX) || q.x === p.x) && (better(q.y, p.y, upY) || q.y === p.y)
      && (better(q.x, p.x, upX) || better(q.y, p.y, upY))));
  };

  const figureOf = () => {
    const group = Number(control("group").value);
    const [x, y] = [control("x").value, control("y").value];
    const mean = control("by").value === "mean";
    const by = new Map();
    const order = [...new Set(rowsOf(group, mean).map((k) => columns.arm[k]))];
    const step = Math.min(0.085, 0.55 / order.length);
    const beside = (arm) => (x === "length" ? 2 ** (step * (order.indexOf(arm) - (order.length - 1) / 2)) : 1);
    for (const k of rowsOf(group, mean)) {
      const [px, py] = [columns[x][k], columns[y][k]];
      if (px === null || py === null) continue;
      const arm = columns.arm[k];
      const lines = [
        groups[group].title, `${columns.length[k]} tokens`,
        mean ? `mean of seeds ${columns.seeds[k]}` : `seed ${columns.seed[k]}`, columns.note[k],
      ];
      for (const key of Object.keys(measures)) {
        const value = columns[key][k];
        if (value === null || key === "length") continue;
        const ends = key === "score" && columns.low[k] !== null
          ? ` (${short(columns.low[k])} to ${short(columns.high[k])})` : "";
        lines.push(`${named(key, group)}: ${shownValue(key, value)}${ends}`);
      }
      const label = [data.arms[arm].name, ...lines].filter(Boolean).map(plain).join("<br>");
      if (!by.has(arm)) by.set(arm, []);
      by.get(arm).push({ x: px, y: py, k, label, length: columns.length[k], seed: columns.seed[k], arm });
    }
    const every = [...by.values()].flat().filter((p) => !data.arms[p.arm].baseline || (x !== "trainable_params" && y !== "trainable_params"));
    const marks = control("front").checked ? front(every, higher(x, group), higher(y, group)) : [];
    const place = { xaxis: "x1", yaxis: "y1" };
    const traces = [...by].map(([arm, points]) => {
      const look = data.arms[arm];
      points.sort((a, b) => (a.seed ?? 0) - (b.seed ?? 0) || a.length - b.length);
      const trace = {
        type: "scatter", name: look.name, legendgroup: look.name, meta: `arm:${look.name}`,
        x: points.map((p) => p.x * beside(arm)), y: points.map((p) => p.y),
        hovertext: points.map((p) => p.label), hoverinfo: "text", ...look.style, ...place,
        mode: mean && points.length > 1 && look.style.line.dash ? "lines+markers" : "markers",
      };
      trace.marker = { ...trace.marker, symbol: trace.marker.symbol || "circle" };
      const interval = (key, at) => points.map((p) => columns[at][p.k]).some((v) => v !== null) && key === "score" && mean;
      if (interval(y, "low")) trace.error_y = {
        type: "data", symmetric: false, color: look.style.line.color, thickness: 1.2, width: 3,
        array: points.map((p) => Math.max(0, (columns.high[p.k] ?? p.y) - p.y)),
        arrayminus: points.map((p) => Math.max(0, p.y - (columns.low[p.k] ?? p.y))),
      };
      return trace;
    });
    if (marks.length) {
      marks.sort((a, b) => a.x - b.x);
      traces.push({
        type: "scatter", name: "Pareto front", legendgroup: "Pareto front", meta: "front",
        x: marks.map((p) => p.x * beside(p.arm)), y: marks.map((p) => p.y), mode: "lines+markers", hoverinfo: "skip",
        line: { color: "#6b6b6b", width: 1.5, dash: "dash" }, ...place,
        marker: { symbol: "circle-open", size: 17, color: "#6b6b6b", line: { width: 1.8, color: "#6b6b6b" } },
      });
    }
    const axis = (key, values) => {
      const positive = values.every((v) => v > 0);
      const log = key === "length" || (positive && Math.max(...values) > 8 * Math.min(...values));
      const [low, high] = [Math.min(...values), Math.max(...values)].map((v) => (log ? Math.log10(v) : v));
      const room = key === "length" ? 0.12 : 0.07 * (high - low) || 0.05 * Math.abs(high) || 0.05;
      const unit = measures[key].unit ? ` (${measures[key].unit})` : "";
      const found = {
        type: log ? "log" : "linear", range: [low - room, high + room], showticklabels: true, showgrid: true,
        title: { text: plain(named(key, group)) + unit }, zeroline: false, small: false,
      };
      if (key === "length") {
        found.tickvals = [...new Set(values)].sort((a, b) => a - b);
        found.ticktext = found.tickvals.map(String);
      } else if (log) Object.assign(found, { dtick: "D2", tickformat: "~s" });
      else if (high >= 1e4) found.tickformat = "~s";
      return found;
    };
    const shown = [...by.values()].flat();
    const ends = (key) => shown.flatMap((p) => (key === "score" && mean
      ? [p[key === x ? "x" : "y"], columns.low[p.k], columns.high[p.k]].filter((v) => v !== null)
      : [p[key === x ? "x" : "y"]]));
    const legend = [...by.keys()].map((arm) => ({ ...data.arms[arm].entry, name: data.arms[arm].name }));
    if (marks.length) legend.push({ name: "Pareto front", text: "Pareto front", colour: "#6b6b6b", sign: "○", dash: "dash" });
    const empty = shown.length ? [] : [{ xref: "x1 domain", yref: "y1 domain", x: 0.5, y: 0.5, showarrow: false, text: "no cell has both values" }];
    const text = marks.map((p) => `${data.arms[p.arm].name} at ${p.length} tokens${mean ? "" : `, seed ${p.seed}`}`);
    control("said").textContent = !control("front").checked ? `${shown.length} points.`
      : `Pareto front (${higher(x, group) ? "higher" : "lower"} ${named(x, group)}, ${higher(y, group) ? "higher" : "lower"} ${named(y, group)}): ${text.join("; ") || "no point"}.`;
    return {
      data: traces, rows: [[1]], heights: [], size: [6, 4], legend,
      layout: { annotations: empty, xaxis1: axis(x, shown.length ? ends(x) : [1, 2]), yaxis1: axis(y, shown.length ? ends(y) : [1, 2]) },
    };
  };

  options(control("group"), groups.map((group, k) => [String(k), group.title]));
  offer();
  box.hidden = false;
  const plot = new Plot(byId("explore-plot"), figureOf(), byId("explore-legend"));
  const again = () => {
    plot.figure = figureOf();
    plot.drawLegend();
    return plot.draw();
  };
  for (const id of ["group", "x", "y", "by", "front"]) {
    control(id).addEventListener("change", () => { if (id === "group") offer(); again(); });
  }
  new IntersectionObserver((entries, watcher) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    plot.draw();
  }, { rootMargin: "300px" }).observe(box);
};
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
