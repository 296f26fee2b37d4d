/** Counts of served pages, in words and as columns of a table. */

import * as format from '../format.js';
import { shown } from './sample.js';

/** Return the columns that count impressions. @returns {import('../table.js').Column<Api.ImpressionGroup>[]} */
export function counts() {
  const number = /** @type {const} */ ('number');
  const share = (/** @type {number | null} */ value) => shown(value);
  return [
    { label: 'Impressions', kind: number, of: (row) => row.impressions },
    { label: 'Clicks', kind: number, of: (row) => row.clicks },
    { label: 'Click-through', kind: number, of: (row) => row.click_through, show: share },
    { label: 'Engagements', kind: number, of: (row) => row.engagements },
    { label: 'Engagement rate', kind: number, of: (row) => row.engagement_rate, show: share },
    { label: 'Dismissals', kind: number, of: (row) => row.dismissals },
    { label: 'Dismissal rate', kind: number, of: (row) => row.dismissal_rate, show: share },
  ];
}

/** Return the name of a group. @param {string} by @param {Pick<Api.ImpressionGroup, 'key' | 'title'>} row */
export function nameOf(by, { key, title }) {
  if (by === 'position') return String(Number(key) + 1);
  if (key === null) return 'no source';
  return title || String(key);
}

/** @param {Pick<Api.Impressions, 'is_shortened' | 'since'>} found @param {string} label */
export function windowOf(found, label) {
  if (!found.is_shortened) return label;
  const { mostSlates, mostEvents } = /** @type {HTMLElement} */ (document.getElementById('dashboard')).dataset;
  return `since ${format.time(found.since)} UTC, at most ${format.count(Number(mostSlates))} pages and `
    + `${format.count(Number(mostEvents))} interactions`;
}

/** @param {Omit<Api.ImpressionGroup, 'key' | 'title'>} total */
export function summary(total) {
  const { impressions, clicks, engagements, click_through: rate } = total;
  const text = `${format.plural(impressions, 'impression')}; ${format.plural(clicks, 'click')}, `
    + `${format.plural(engagements, 'engagement')}`;
  return rate === null ? `${text}; too few for a ratio.` : `${text}: click-through ${format.fixed(rate)}.`;
}
