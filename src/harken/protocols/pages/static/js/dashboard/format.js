/** Formatting of numbers and times. Times are UTC, like the buckets. */

const COUNT = new Intl.NumberFormat('en');

/** @param {number | null | undefined} value */
export function count(value) {
  return value == null ? '–' : COUNT.format(value);
}

/**
 * @param {number | null | undefined} value
 * @param {number} [digits] decimals
 */
export function fixed(value, digits = 3) {
  return value == null ? '–' : value.toFixed(digits).replace(/^-/, '\u2212');
}

/** Format a difference with its sign. @param {number | null | undefined} value */
export function signed(value) {
  return value != null && value > 0 ? `+${fixed(value)}` : fixed(value);
}

/** @param {number | null | undefined} low @param {number | null | undefined} high @param {(value: number) => string} [show] */
export function interval(low, high, show = fixed) {
  return low == null || high == null ? 'no interval' : `95 % interval ${show(low)} to ${show(high)}`;
}

/** Format a duration in the unit that suits it. @param {number | null | undefined} milliseconds */
export function duration(milliseconds) {
  if (milliseconds == null) return '–';
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${+(milliseconds / 1_000).toFixed(1)} s`;
  if (milliseconds < 3_600_000) return `${+(milliseconds / 60_000).toFixed(1)} min`;
  return `${+(milliseconds / 3_600_000).toFixed(1)} h`;
}

/** @param {string | number | Date | null | undefined} at */
export function day(at) {
  return at == null ? '–' : new Date(at).toISOString().slice(0, 10);
}

/** @param {string | number | Date | null | undefined} at */
export function time(at) {
  return at == null ? '–' : new Date(at).toISOString().slice(0, 16).replace('T', ' ');
}

/** @param {string | number | Date} at */
export function clock(at) {
  return new Date(at).toISOString().slice(11, 19);
}

/** @param {number} value @param {string} one @param {string} [many] */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
