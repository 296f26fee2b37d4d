/** Tables as CSV files, for spreadsheets and programs. */

/** What a spreadsheet would take for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/**
 * Write rows as RFC 4180 has it. Numbers are written whole; text that a spreadsheet would take for
 * a formula begins with an apostrophe.
 * @param {(string | number | boolean | null | undefined)[][]} rows
 */
export function csv(rows) {
  return rows.map((row) => row.map(cell).join(',') + '\r\n').join('');
}

/** @param {string | number | boolean | null | undefined} value */
function cell(value) {
  if (value == null) return '';
  if (typeof value !== 'string') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]|^'|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {string} name @param {string} text */
export function save(name, text) {
  // The mark at the beginning tells spreadsheets that it is UTF-8.
  const blob = new Blob(['\uFEFF', text], { type: 'text/csv;charset=utf-8' });
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
