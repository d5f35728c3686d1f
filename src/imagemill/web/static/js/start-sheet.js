// What was read: columns with the parts they play, the first rows, faults beside their cells.
import { count, counted } from "./units.js";

const PARTS = { input: "links", serial: "number", product: "product", output: "output, replaced", errors: "errors, replaced" };
const MOST_FAULTS = 50;
const MOST_COLUMNS = 16;
const FEW_ROWS = 4;

/** A row as its sender counts: of links that were pasted there is no header. */
export const rowOf = (draft, row) => (draft.kind === "images" ? row - 1 : row);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A message as a sentence of its own. */
export function sentence(message) {
  return `${message[0].toUpperCase()}${message.slice(1)}${/[.!?)/]$/.test(message) ? "" : "."}`;
}

export function trouble(title, tone, ...children) {
  const words = element("div", {}, element("h2", { textContent: title }), ...children);
  return element("div", { className: `trouble trouble-${tone}` }, icon("alert"), words);
}

/** Fill the table and the choice of columns; `choose` is called with `#3` where somebody chooses the third. */
export function showSheet(draft, choose) {
  const columns = visible(draft);
  const faults = byCell(draft.faults);
  const rows = rowsOf(draft);
  const shown = new Set(rows.map((row) => row.row));
  const table = document.querySelector(".sheet-table");
  table.tHead.replaceChildren(headOf(draft, columns));
  table.tBodies[0].replaceChildren(...bodyOf(draft, rows, columns, faults));
  showChoice(draft, choose);
  const hidden = draft.table.columns.length - columns.length;
  document.getElementById("sheet-hint").textContent = hintOf(draft, rows.length, hidden);
  document.getElementById("further").replaceChildren(...furtherOf(draft, shown));
}

/** Columns that play a part come first, or nobody would find them among fifty; of the others some are shown. */
function visible(draft) {
  const all = draft.table.columns.map((column, place) => ({ ...column, place }));
  const matters = all.filter((column) => column.role || column.addresses);
  const others = all.filter((column) => !matters.includes(column)).slice(0, Math.max(0, MOST_COLUMNS - matters.length));
  if (all.length <= MOST_COLUMNS / 2) return all;
  return [...matters, ...others].sort((one, other) => rank(one) - rank(other) || one.number - other.number);
}

function rank(column) {
  return column.role ? ["serial", "product", "input", "output", "errors"].indexOf(column.role) : 9;
}

function hintOf(draft, shown, hidden) {
  if (!shown || draft.kind === "images") return "";
  const more = draft.counts.rows - shown;
  const parts = [];
  if (more > 0) parts.push(`${counted(more, "further row")}`);
  if (hidden > 0) parts.push(counted(hidden, "further column"));
  return parts.length ? `And ${parts.join(" and ")}. Every cell stays as it is.` : "Every cell stays as it is.";
}

function headOf(draft, columns) {
  const isSheet = draft.kind === "sheet";
  const first = element("th", { scope: "col", className: "sheet-number", textContent: isSheet ? "Row" : "Line" });
  const row = element("tr", {}, first);
  for (const column of columns) {
    const name = element("span", { textContent: isSheet ? column.name || `column ${column.number}` : "Link" });
    const cell = element("th", { scope: "col" }, name);
    if (column.role && isSheet) cell.append(element("span", { className: "part", textContent: PARTS[column.role] }));
    cell.classList.toggle("is-input", column.role === "input");
    row.append(cell);
  }
  return row;
}

/** Where rows have faults, those are what there is to see. */
function rowsOf(draft) {
  const faulty = new Set(draft.faults.map((fault) => fault.row));
  const hasFaultyRows = draft.table.rows.some((row) => faulty.has(row.row));
  return draft.table.rows.filter((row, place) => !hasFaultyRows || place < FEW_ROWS || faulty.has(row.row));
}

function bodyOf(draft, rows, columns, faults) {
  const made = [];
  let before = 1;
  for (const row of rows) {
    if (row.row > before + 1 && made.length) made.push(gap(columns.length + 1));
    before = row.row;
    made.push(lineOf(draft, row, columns, faults));
  }
  return made;
}

function gap(width) {
  return element("tr", { className: "sheet-gap" }, element("td", { colSpan: width, textContent: "⋯", ariaHidden: "true" }));
}

function lineOf(draft, shown, columns, faults) {
  const number = count(rowOf(draft, shown.row));
  const row = element("tr", {}, element("th", { scope: "row", className: "sheet-number", textContent: number }));
  for (const column of columns) {
    const text = shown.cells[column.place];
    const cell = element("td", {}, element("span", { className: "cell", textContent: text, title: text }));
    cell.classList.toggle("is-input", column.role === "input");
    for (const fault of faults.get(`${shown.row}/${column.number}`) ?? []) {
      cell.classList.add("is-faulty");
      cell.append(element("span", { className: "cell-fault", textContent: sentence(fault.message) }));
    }
    row.append(cell);
  }
  return row;
}

function byCell(faults) {
  const found = new Map();
  for (const fault of faults) {
    const key = `${fault.row}/${fault.column}`;
    found.set(key, [...(found.get(key) ?? []), fault]);
  }
  return found;
}

function showChoice(draft, choose) {
  const select = document.getElementById("column");
  const input = draft.table.columns.find((column) => column.role === "input");
  const options = draft.table.columns.map((column) => {
    const text = `${column.name || `column ${column.number}`}${column.addresses ? " · has links" : ""}`;
    return element("option", { value: `#${column.number}`, textContent: text, selected: column === input });
  });
  if (!input) options.unshift(element("option", { value: "", textContent: "Choose a column", selected: true }));
  select.replaceChildren(...options);
  select.onchange = () => select.value && choose(select.value);
  select.parentElement.hidden = draft.kind === "images" || !options.length;
}

/** Columns to offer where none was recognised: those in which links stand. */
export function candidates(draft) {
  if (draft.table.columns.some((column) => column.role === "input")) return [];
  return draft.table.columns.filter((column) => column.addresses);
}

/** Faults whose cells are not in the table. */
function furtherOf(draft, shown) {
  const hidden = draft.faults.filter((fault) => fault.row > 1 && !shown.has(fault.row));
  const listed = hidden.slice(0, MOST_FAULTS);
  const unlisted = draft.fault_count - (draft.faults.length - hidden.length) - listed.length;
  if (!listed.length) return [];
  const items = listed.map((fault) =>
    element("li", {}, element("b", { textContent: placeOf(draft, fault) }), ` ${fault.message}`),
  );
  const more = unlisted > 0 ? [element("p", { className: "hint", textContent: `And ${counted(unlisted, "further fault")}.` })] : [];
  return [element("h3", { textContent: "Further down" }), element("ul", { className: "faults" }, ...items), ...more];
}

function placeOf(draft, fault) {
  if (draft.kind === "images") return `Line ${count(rowOf(draft, fault.row))}:`;
  return `Row ${count(fault.row)}${fault.column_name ? `, ${fault.column_name}` : ""}:`;
}
