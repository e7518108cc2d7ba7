// Tables as text: CSV, Markdown and LaTeX. Entries come from files: their signs are escaped.
const formats = {
  CSV: (head, rows) => {
    const field = (text) => {
      const safe = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text; // no formula
      return /[",\n\r']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return [head, ...rows].map((row) => row.map(field).join(",")).join("\n") + "\n";
  },
  Markdown: (head, rows) => {
    const field = (text) => text.replace(/[\\`*_[\]|~]/g, "\\$&").replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;").replaceAll(">", "&gt;").replace(/\s+/g, " ");
    const line = (row) => `| ${row.join(" | ")} |`;
    return [line(head.map(field)), line(head.map(() => "---")), ...rows.map((r) => line(r.map(field)))]
      .join("\n") + "\n";
  },
  LaTeX: (head, rows) => {
    const signs = {
      "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$",
      ">": "$>$", "|": "$|$", "−": "$-$", "±": "$\\pm$", "×": "$\\times$", "≤": "$\\leq$",
      "≥": "$\\geq$", "→": "$\\rightarrow$", "–": "--", "…": "\\ldots{}",
      "“": "``", "”": "''", "\u00a0": "~",
    };
    const field = (text) => text.replace(/[\\~^<>|−±×≤≥→–…“”\u00a0]|[&%$#_{}]/g, (c) => signs[c] ?? `\\${c}`)
      .replace(/\s+/g, " ");
    const line = (row) => `${row.map(field).join(" & ")} \\\\`;
    return [`\\begin{tabular}{${"l".repeat(head.length)}}`, "\\toprule", line(head), "\\midrule",
      ...rows.map(line), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  },
};

const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // an old browser, or no permission
    const area = made("textarea", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
};

// Buttons that copy what `content()` returns: head and rows of texts.
const copyButtons = (content, about) => {
  const said = made("span", { role: "status", class: "said" });
  const buttons = Object.entries(formats).map(([name, format]) => made("button", {
    type: "button", "aria-label": `Copy as ${name}: ${about}`,
    onclick: async () => {
      const { head, rows } = content();
      await copied(format(head, rows));
      said.textContent = `Copied ${rows.length} rows as ${name}.`;
      setTimeout(() => { said.textContent = ""; }, 4000);
    },
  }, name));
  return made("div", { class: "copy" }, made("span", { class: "quiet" }, "Copy as"), ...buttons, said);
};

const startCopies = () => {
  const texts = (row) => [...row.cells].map((cell) => cell.textContent.trim());
  for (const table of document.querySelectorAll("main .scroll > table")) {
    const about = table.parentElement.getAttribute("aria-label").slice(0, 80);
    const content = () => ({ head: texts(table.tHead.rows[0]), rows: [...table.tBodies[0].rows].map(texts) });
    table.parentElement.after(copyButtons(content, about));
  }
};
