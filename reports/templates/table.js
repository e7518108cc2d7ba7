// The table of all cells: sorted, filtered and shown in parts. A column holds its distinct values
// in order (`texts`), and for each cell the place of its value (`codes`, -1: none).
const startTable = () => {
  const box = byId("cell-table");
  const columns = stored("cells");
  if (!box || !columns) return;
  const size = 50;
  const text = (column, row) => {
    const code = column.codes[row];
    return code < 0 ? "" : column.texts[code];
  };
  const state = { sort: null, down: false, words: [], page: 0, shown: columns.filter((c) => c.shown) };
  const every = columns[0].codes.map((_, row) => row);
  let searched; // made when it is needed, since it takes long for many cells
  let rows = every;

  const chosen = () => {
    if (state.words.length) searched ??= every.map((row) => columns.map((c) => text(c, row)).join("\n").toLowerCase());
    rows = every.filter((row) => state.words.every((word) => searched[row].includes(word)));
    if (state.sort) {
      const { codes } = state.sort;
      const sign = state.down ? -1 : 1;
      const order = (a, b) => (codes[a] < 0) - (codes[b] < 0) || sign * (codes[a] - codes[b]) || a - b;
      rows = [...rows].sort(order); // cells without a value are last
    }
    state.page = Math.min(state.page, Math.max(0, Math.ceil(rows.length / size) - 1));
  };

  const head = made("tr");
  const body = made("tbody");
  const count = made("p", { role: "status", class: "quiet" });
  const drawHead = () => head.replaceChildren(...state.shown.map((column) => {
    const own = state.sort === column;
    const sort = own ? (state.down ? "descending" : "ascending") : "none";
    const button = made("button", {
      type: "button",
      onclick: () => {
        state.down = own && !state.down;
        state.sort = column;
        state.page = 0;
        draw();
        head.cells[state.shown.indexOf(column)].querySelector("button").focus();
      },
    }, column.head, made("span", { "aria-hidden": "true", class: "order" }, own ? (state.down ? " ▼" : " ▲") : " ↕"));
    return made("th", { scope: "col", "aria-sort": sort, class: column.numeric ? "number" : "" }, button);
  }));
  const drawBody = () => {
    const part = rows.slice(state.page * size, (state.page + 1) * size);
    body.replaceChildren(...part.map((row) => made("tr", {}, ...state.shown.map((column, place) => {
      const value = text(column, row);
      const failed = column.key === "status" && value !== "ok" ? " failed" : "";
      return made(place ? "td" : "th", {
        scope: place ? null : "row", class: ((column.numeric ? "number" : "") + failed).trim(),
      }, value);
    }))));
    const first = rows.length ? state.page * size + 1 : 0;
    count.textContent = `${first} to ${state.page * size + part.length} of ${rows.length} cells`
      + (rows.length < every.length ? ` (${every.length} in all)` : "");
    before.disabled = state.page === 0;
    after.disabled = (state.page + 1) * size >= rows.length;
  };
  const draw = () => { chosen(); drawHead(); drawBody(); };
  const turn = (step) => () => { state.page += step; drawBody(); };
  const before = made("button", { type: "button", onclick: turn(-1) }, "Previous");
  const after = made("button", { type: "button", onclick: turn(1) }, "Next");

  let waiting;
  const filter = made("input", { type: "search", id: "cell-filter", autocomplete: "off", placeholder: "ssmlora 512 oom" });
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      state.page = 0;
      draw();
    }, 120);
  });
  const boxes = columns.map((column) => {
    const input = made("input", { type: "checkbox" });
    input.checked = column.shown;
    input.addEventListener("change", () => {
      column.shown = input.checked;
      state.shown = columns.filter((c) => c.shown);
      draw();
    });
    return made("label", {}, input, " ", column.head);
  });
  const content = () => ({
    head: state.shown.map((c) => c.head), rows: rows.map((row) => state.shown.map((c) => text(c, row))),
  });
  box.append(
    made("div", { class: "tools" },
      made("label", { for: "cell-filter" }, "Filter (all words must be in the row) "), filter),
    made("details", {}, made("summary", {}, "Columns"),
      made("fieldset", { class: "columns" }, made("legend", {}, "Columns of the table"), ...boxes)),
    count,
    made("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All cells" },
      made("table", {}, made("thead", {}, head), body)),
    made("div", { class: "tools" }, before, after), copyButtons(content, "all cells that are shown"),
  );
  box.hidden = false;
  draw();
};
