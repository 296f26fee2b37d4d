/** The panel of totals, of the last 24 hours and of events per second. */

import { ask } from '../requests.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';

const MOST_SAMPLES = 180;

const panel = new Panel('totals');

/** @type {{at: number, rate: number}[]} */
const samples = [];
/** @type {{at: number, events: number} | null} */
let before = null;

/** Load and show the totals. */
export async function showTotals() {
  await panel.fill(async () => {
    const requestedAt = performance.now();
    const { totals, recent_activity: recent } = await ask('/api/feed/analytics', { limit: '1' });
    const { views, engagements, dismissals } = totals;
    setText('total-views', format.count(views));
    setText('total-engagements', format.count(engagements));
    setText('total-dismissals', format.count(dismissals));
    setText('total-engagement-rate', perView(engagements, views));
    setText('total-dismissal-rate', perView(dismissals, views));
    const dwell = totals.avg_dwell_time_sec;
    setText('total-dwell', dwell === null ? '–' : format.duration(dwell * 1_000));
    setText('total-day', format.count(recent.interactions_24h));
    sample(requestedAt, views + engagements + dismissals);
  });
  await showRate();
}

/** @param {number} count @param {number} views */
function perView(count, views) {
  return views ? `${format.fixed(count / views)} per view` : '';
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
