/** The tiles: counts of the range beside the period before, the last 24 hours, events per second. */

import { ask } from '../requests.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { change } from '../figures/sample.js';
import { fill } from '../table.js';

const MOST_SAMPLES = 180;

const panel = new Panel('totals');

/** @type {{at: number, rate: number}[]} */
const samples = [];
/** @type {{at: number, events: number} | null} */
let before = null;

/**
 * Load and show the counts of the range, beside those of the period before.
 * @param {import('../range.js').RangeQuery} range
 */
export async function showTotals(range) {
  await panel.fill(async () => {
    const found = await ask('/api/feed/analytics/totals', range.isAll ? {} : range.times);
    const { views, engagements, dismissals, before } = found;
    setText('total-window', range.isAll ? 'All time.' : `${words(range.label)}${beside(before)}.`);
    setText('total-views', format.count(views));
    setText('total-engagements', format.count(engagements));
    setText('total-dismissals', format.count(dismissals));
    setText('total-engagement-rate', perView(found.engagements_per_view, views));
    setText('total-dismissal-rate', perView(found.dismissals_per_view, views));
    const dwell = found.avg_dwell_time_sec;
    setText('total-dwell', dwell === null ? '–' : seconds(dwell));
    compare(found, before);
  });
}

/** Load and show the last 24 hours, and sample the events per second. */
export async function showRates() {
  await panel.fill(async () => {
    const requestedAt = performance.now();
    const { totals, recent_activity: recent } = await ask('/api/feed/analytics', { limit: '1' });
    setText('total-day', format.count(recent.interactions_24h));
    sample(requestedAt, totals.views + totals.engagements + totals.dismissals);
  });
  await showRate();
}

/** @param {Api.Totals} found @param {Api.Totals['before']} before */
function compare(found, before) {
  for (const name of /** @type {const} */ (['views', 'engagements', 'dismissals'])) {
    setText(`total-${name}-before`, before ? change(found[name], before[name]) : '');
  }
  const [now, then] = [found.avg_dwell_time_sec, before?.avg_dwell_time_sec];
  const isKnown = now !== null && then != null;
  setText('total-dwell-before', isKnown ? change(now, then, { up: 'longer', down: 'shorter', show: seconds }) : '');
}

/** @param {Api.Totals['before']} before */
function beside(before) {
  return before ? `, beside as much time before, since ${format.time(before.since)} UTC`
    : '; the log does not reach back to the period before';
}

/** @param {string} label */
function words(label) {
  return label[0].toUpperCase() + label.slice(1);
}

/** @param {number} value */
function seconds(value) {
  return format.duration(value * 1_000);
}

/** @param {number | null} ratio @param {number} views */
function perView(ratio, views) {
  if (!views) return '';
  return ratio === null ? 'too few views for a ratio' : `${format.fixed(ratio)} per view`;
}

/** @param {number} at @param {number} events */
function sample(at, events) {
  if (before !== null && at > before.at) {
    // Totals may decrease if events are deleted.
    const rate = Math.max(0, events - before.events) / ((at - before.at) / 1_000);
    samples.push({ at: Date.now(), rate });
    if (samples.length > MOST_SAMPLES) samples.shift();
    setText('total-rate', rate === 0 ? '0' : rate.toFixed(rate < 10 ? 2 : 0));
  }
  before = { at, events };
}

async function showRate() {
  fill('rate-table', [
    { label: 'Time (UTC)', kind: 'time', of: (row) => new Date(row.at).toISOString(), show: format.clock },
    { label: 'Events per second', kind: 'number', of: (row) => row.rate, show: (rate) => format.fixed(rate, 2) },
  ], samples);
  const latest = samples.at(-1);
  const most = Math.max(0, ...samples.map((each) => each.rate));
  const summary = latest
    ? `Events per second: ${format.fixed(latest.rate, 2)} now, at most ${format.fixed(most, 2)} since you opened this page.`
    : 'Events per second: unknown yet.';
  await draw('rate-chart', summary, (colours) => ({
    type: 'line',
    data: {
      labels: samples.map((each) => format.clock(each.at)),
      datasets: [{
        label: 'Events per second',
        data: samples.map((each) => each.rate),
        borderColor: colours.accent,
        backgroundColor: colours['accent-soft'],
        borderWidth: 2,
        pointRadius: samples.length < 3 ? 3 : 0,
        fill: true,
      }],
    },
    options: {
      scales: { x: { grid: { display: false } }, y: { beginAtZero: true, suggestedMax: 1 } },
      plugins: { tooltip: { callbacks: { label: (/** @type {ChartItem} */ item) => ` ${format.fixed(item.raw, 2)} per second` } } },
    },
  }));
}
