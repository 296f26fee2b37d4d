/** Tables with exact values, which keep the focus on update and can be downloaded as CSV. */

import { csv, save } from './csv.js';
import * as format from './format.js';

/**
 * @typedef {string | number | boolean | null | undefined} Value
 * @typedef {'text' | 'number' | 'time'} Kind
 */
/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => Value} of the exact value, as in the CSV
 * @property {Kind} [kind]
 * @property {(value: any, row: Row) => string | Node} [show] the displayed form
 * @property {boolean} [isOnlyShown] whether it is left out of the CSV
 * @property {boolean} [isOnlyInFile] whether it is in the CSV only
 */

/** @type {Map<string, {columns: Column<any>[], rows: unknown[], written: string}>} */
const tables = new Map();

/**
 * Fill a table. The cells of the first column are the headers of the rows.
 * @template Row
 * @param {string} id @param {Column<Row>[]} columns
 * @param {Row[]} rows
 */
export function fill(id, columns, rows) {
  const written = JSON.stringify(rows);
  const known = tables.get(id);
  tables.set(id, { columns, rows, written });
  if (known?.written === written) return;
  const table = element(id);
  const focused = focusedIn(table);
  const shown = columns.filter((column) => !column.isOnlyInFile);
  const head = row(shown.map((column) => heading(column)));
  const body = rows.map((each) => row(shown.map((column, i) => cell(column, each, i === 0))));
  table.tHead?.remove();
  table.tBodies[0]?.remove();
  table.createTHead().append(head);
  table.createTBody().append(...body);
  if (focused) focusAgain(table, focused);
}

/** @param {string} id */
export function download(id) {
  const { columns, rows } = tables.get(id) ?? { columns: [], rows: [] };
  const written = columns.filter((column) => !column.isOnlyShown);
  const name = `harken-${id.replace('-table', '')}-${format.day(Date.now())}.csv`;
  save(name, csv([
    written.map((column) => column.label),
    ...rows.map((each) => written.map((column) => column.of(each))),
  ]));
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLTableElement} */ (document.getElementById(id));
}

/** @param {HTMLElement[]} cells */
function row(cells) {
  const made = document.createElement('tr');
  made.append(...cells);
  return made;
}

/** @param {Column<any>} column */
function heading({ label, kind }) {
  const made = document.createElement('th');
  Object.assign(made, { scope: 'col', textContent: label });
  if (kind === 'number') made.className = 'number';
  return made;
}

/** @template Row @param {Column<Row>} column @param {Row} of @param {boolean} isHead */
function cell(column, of, isHead) {
  const made = document.createElement(isHead ? 'th' : 'td');
  if (isHead) made.setAttribute('scope', 'row');
  if (column.kind === 'number') made.className = 'number';
  const value = column.of(of);
  const shown = column.show ? column.show(value, of) : plain(value, column.kind);
  made.append(typeof shown === 'string' ? exact(value, shown, column.kind) : shown);
  return made;
}

/** @param {Value} value @param {Kind} [kind] */
function plain(value, kind) {
  if (value == null) return '–';
  if (kind === 'time') return format.time(/** @type {string} */ (value));
  return typeof value === 'number' ? format.count(value) : String(value);
}

/** Return an element with a formatted text and the exact value. @param {Value} value @param {string} shown @param {Kind} [kind] */
function exact(value, shown, kind) {
  if (value == null || kind === undefined || kind === 'text') return shown;
  const made = document.createElement(kind === 'time' ? 'time' : 'data');
  made.textContent = shown;
  made.setAttribute(kind === 'time' ? 'datetime' : 'value', String(value));
  if (shown !== String(value)) made.title = String(value);
  return made;
}

/** @param {HTMLTableElement} table */
function focusedIn(table) {
  const at = document.activeElement;
  const within = at && table.contains(at) ? at.closest('tr') : null;
  if (!at || !within) return null;
  return { head: within.cells[0].textContent, order: focusable(within).indexOf(at) };
}

/** @param {HTMLTableElement} table @param {{head: string | null, order: number}} was */
function focusAgain(table, { head, order }) {
  const same = [...table.rows].find((each) => each.cells[0].textContent === head);
  const again = same && focusable(same)[order];
  /** @type {HTMLElement | null} */ (again ?? table.closest('.table'))?.focus();
}

/** @param {Element} within @returns {Element[]} */
function focusable(within) {
  return [...within.querySelectorAll('a, button')];
}
