/** CSV files of tables, for spreadsheets and programs. */

/** Text that a spreadsheet would interpret as a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/**
 * Return rows as CSV (RFC 4180). Numbers have all their digits; text that a spreadsheet would
 * interpret as a formula gets a leading apostrophe.
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
  // The byte order mark tells spreadsheets that the file is UTF-8.
  const blob = new Blob(['\uFEFF', text], { type: 'text/csv;charset=utf-8' });
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
