/** The panel of dwell times. */

import { ask } from '../requests.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';

const panel = new Panel('dwell');

/** @param {import('../range.js').RangeQuery} range */
export async function showDwell(range) {
  await panel.fill(async () => {
    const found = await ask('/api/feed/analytics/dwell', range.times);
    panel.window(windowOf(found, range.label));
    tabulate(found);
    if (!found.timed) {
      return found.views
        ? `There are ${format.plural(found.views, 'view')}, but none has a dwell time.`
        : `There are no views in ${range.label}.`;
    }
    const text = `Median dwell time: ${format.duration(found.median_ms)}; mean: `
      + `${format.duration(found.mean_ms)}. ${format.count(found.timed)} of `
      + `${format.plural(found.views, 'view')} have a dwell time.`;
    setText('dwell-summary', text);
    await drawHistogram(found, text);
  });
}

/** Return a description of the counted window. @param {{since: string, is_shortened: boolean}} found @param {string} label */
export function windowOf(found, label) {
  if (!found.is_shortened) return label;
  const { mostEvents } = /** @type {HTMLElement} */ (document.getElementById('dashboard')).dataset;
  return `since ${format.time(found.since)} UTC, at most ${format.count(Number(mostEvents))} interactions`;
}

/** @param {Api.Dwell} found */
function tabulate({ buckets, timed }) {
  fill('dwell-table', [
    { label: 'Dwell time', of: label },
    { label: 'From (ms)', kind: 'number', of: (row) => row.from_ms, isOnlyInFile: true },
    { label: 'To less than (ms)', kind: 'number', of: (row) => row.to_ms, isOnlyInFile: true },
    { label: 'Views', kind: 'number', of: (row) => row.views },
    {
      label: 'Share', kind: 'number', of: (row) => (timed ? row.views / timed : null), show: percent,
    },
  ], buckets.map((each) => ({ ...each, timed })));
}

/** @param {Api.Bucket} bucket */
function label({ from_ms: from, to_ms: to }) {
  if (to === null) return `${format.duration(from)} and more`;
  return from === 0 ? `less than ${format.duration(to)}` : `${format.duration(from)} to ${format.duration(to)}`;
}

/** @param {number | null} share */
function percent(share) {
  return share === null ? '–' : `${(share * 100).toFixed(1)} %`;
}

/** @param {Api.Dwell} found @param {string} text */
async function drawHistogram({ buckets, timed }, text) {
  const top = buckets.reduce((best, each) => (each.views > best.views ? each : best));
  const summary = `Views by dwell time. ${text} Most took ${label(top)}: ${format.count(top.views)}.`;
  await draw('dwell-chart', summary, (colours) => ({
    type: 'bar',
    data: {
      labels: buckets.map((each) => format.duration(each.from_ms).replace('0 ms', '0')),
      datasets: [{
        label: 'Views',
        data: buckets.map((each) => each.views),
        backgroundColor: colours.views,
        categoryPercentage: 1,
        barPercentage: 0.94,
      }],
    },
    options: {
      scales: {
        x: { grid: { display: false }, title: 'Dwell time from' },
        y: { beginAtZero: true, ticks: { precision: 0 }, title: 'Views' },
      },
      plugins: { tooltip: { callbacks: {
        title: (/** @type {ChartItem[]} */ [item]) => label(buckets[item.dataIndex]),
        label: (/** @type {ChartItem} */ item) => ` ${format.plural(item.raw, 'view')}, ${percent(item.raw / timed)}`,
      } } },
    },
  }));
}
