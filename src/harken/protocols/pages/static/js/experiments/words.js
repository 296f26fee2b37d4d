/** Numbers of results in words. */

import * as format from '../dashboard/format.js';

/** Format a number to 4 significant digits, with its sign. @param {number | null | undefined} value */
export function signed(value) {
  if (value == null) return '–';
  return `${value > 0 ? '+' : ''}${plain(value)}`;
}

/** Format a number to 4 significant digits. @param {number | null | undefined} value */
export function plain(value) {
  return value == null ? '–' : String(Number(value.toPrecision(4))).replace(/^-/, '\u2212');
}

/** @param {(number | null)[]} bounds @param {(value: number) => string} [show] */
export function bounds([low, high], show = signed) {
  return low == null || high == null ? 'not known yet' : `${show(low)} to ${show(high)}`;
}

/** @param {number | null | undefined} value */
export function percent(value) {
  return value == null ? '–' : `${signed(100 * value)} %`;
}

/** @param {number} value */
export function share(value) {
  return `${format.fixed(100 * value, 1)} %`;
}

/** @param {string} state */
export function badge(state) {
  const className = state === 'running' ? 'badge on' : 'badge';
  return Object.assign(document.createElement('span'), { className, textContent: state });
}

/** The names of outcomes of verdicts. */
export const OUTCOMES = {
  better: 'Better', worse: 'Worse', no_difference: 'No difference', not_yet: 'Not yet',
  guardrail: 'Stopped by a guardrail', no_verdict: 'No verdict',
};
