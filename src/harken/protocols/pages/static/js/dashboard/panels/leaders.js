/** The panels of the most engaged and the most dismissed K-Blocks, with their trends. */

import { ask } from '../requests.js';
import { windowOf } from './dwell.js';
import * as format from '../format.js';
import { Panel } from '../panel.js';
import { ratio, shown } from '../figures/sample.js';
import { spark } from '../sparkline.js';
import { named } from '../figures/kblock-name.js';
import { fill } from '../table.js';
import { figuresButton } from './one.js';

const MOST = '10';

const engaged = new Panel('leaders');
const dismissed = new Panel('dismissed');
const by = /** @type {HTMLSelectElement} */ (document.getElementById('leaders-by'));

/** @param {() => void} changed */
export function onSortChange(changed) {
  by.addEventListener('change', changed);
}

/** @param {import('../range.js').RangeQuery} range */
export async function showLeaders(range) {
  await engaged.fill(async () => {
    const found = await ask('/api/feed/analytics/kblocks', { by: by.value, limit: MOST, ...range.times });
    engaged.window(windowOf(found, range.label));
    fill('leaders-table', columns('engagements', found), found.kblocks);
    return found.kblocks.length ? undefined : 'There are no engagements yet.';
  });
}

/** @param {import('../range.js').RangeQuery} range */
export async function showDismissed(range) {
  await dismissed.fill(async () => {
    const query = { by: 'dismissals', limit: MOST, ...range.times };
    const found = await ask('/api/feed/analytics/kblocks', query);
    dismissed.window(windowOf(found, range.label));
    fill('dismissed-table', columns('dismissals', found), found.kblocks);
    return found.kblocks.length ? undefined : 'There are no dismissals yet.';
  });
}

/**
 * @param {'engagements' | 'dismissals'} kind the counts of the trend @param {Api.Leaders} found
 * @returns {import('../table.js').Column<Api.Leader>[]}
 */
function columns(kind, found) {
  const number = /** @type {const} */ ('number');
  return [
    { label: 'K-Block', of: (row) => row.title ?? row.kblock_id, show: (_name, row) => named(row) },
    { label: 'Id', of: (row) => row.kblock_id, isOnlyInFile: true },
    { label: 'Figures', isOnlyShown: true, of: (row) => row.kblock_id, show: (id, row) => figuresButton(id, row.title) },
    {
      label: 'Trend', isOnlyShown: true, of: (row) => total(row, kind),
      show: (sum, row) => spark(row.trend[kind], kind, trend(row.trend[kind], sum, kind, found)),
    },
    { label: 'Engagements', kind: number, of: (row) => row.engagements },
    { label: 'Views', kind: number, of: (row) => row.views },
    { label: 'Dismissals', kind: number, of: (row) => row.dismissals },
    {
      label: 'Dismissals per view', kind: number, show: (value) => shown(value),
      of: (row) => ratio(row.dismissals, row.views),
      isOnlyInFile: kind === 'engagements',
    },
    { label: 'Readers', kind: number, of: (row) => row.unique_viewers },
    {
      label: 'Mean dwell (s)', kind: number, of: (row) => row.avg_dwell_time_sec,
      show: (value) => format.fixed(value, 1),
    },
    {
      label: 'Attention', kind: number, of: (row) => row.attention_score,
      show: (value) => format.fixed(value), isOnlyInFile: kind === 'dismissals',
    },
    {
      label: 'Last engaged', kind: 'time', of: (row) => row.last_engaged_at, show: (at) => format.day(at),
      isOnlyInFile: kind === 'dismissals',
    },
    ...(/** @type {const} */ (['views', 'engagements', 'dismissals'])).map((each) => ({
      label: `${each} from ${found.since} until ${found.until}`,
      of: (/** @type {Api.Leader} */ row) => total(row, each),
      isOnlyInFile: true,
    })),
  ];
}

/** @param {Api.Leader} row @param {'views' | 'engagements' | 'dismissals'} kind */
function total(row, kind) {
  return row.trend[kind].reduce((sum, each) => sum + each, 0);
}

/** Return a description of a trend. @param {number[]} counts @param {number} sum @param {string} kind @param {Api.Leaders} found */
function trend(counts, sum, kind, found) {
  if (!sum) return `No ${kind}`;
  const peak = counts.indexOf(Math.max(...counts));
  const at = Date.parse(found.since) + peak * found.part_seconds * 1_000;
  return `${format.count(sum)} ${kind}; at most ${format.count(counts[peak])} in `
    + `${format.duration(found.part_seconds * 1_000)}, from ${format.time(at)}`;
}
