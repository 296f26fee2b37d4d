/** Ratios, which are shown only if there is enough behind them. */

import * as format from '../format.js';

/** With fewer views or impressions, no ratio is shown. The page says how many. */
export const LEAST = Number(document.getElementById('dashboard')?.dataset.leastSample ?? 1);

/** Return a ratio; null if there is too little behind it. @param {number} some @param {number} all */
export function ratio(some, all) {
  return all >= LEAST ? some / all : null;
}

/** @param {number | null | undefined} value @param {number} [digits] */
export function shown(value, digits = 3) {
  return value == null ? 'too few' : format.fixed(value, digits);
}

/**
 * Say how a value changed, with the direction in words.
 * @param {number} now @param {number} before
 * @param {{up?: string, down?: string, show?: (value: number) => string}} [words]
 */
export function change(now, before, { up = 'more', down = 'fewer', show = format.count } = {}) {
  const than = `than ${show(before)} before`;
  if (now === before) return `as before (${show(before)})`;
  if (!before) return 'none before';
  const percent = Math.round((Math.abs(now - before) / before) * 100);
  return `${percent < 1 ? 'under 1' : format.count(percent)} % ${now > before ? up : down} ${than}`;
}
