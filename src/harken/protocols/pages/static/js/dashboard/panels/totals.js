/** Totals, the last 24 hours, and how many events a second there are. */

import { ask } from '../requests.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, say } from '../panel.js';
import { fill } from '../table.js';

const MOST_SAMPLES = 180;

const panel = new Panel('totals');

/** @type {{at: number, rate: number}[]} */
const samples = [];
/** @type {{at: number, events: number} | null} */
let before = null;

/** Ask for the totals, and show them. */
export async function showTotals() {
  await panel.fill(async () => {
    const asked = performance.now();
    const { totals, recent_activity: recent } = await ask('/api/feed/analytics', { limit: '1' });
    const { views, engagements, dismissals } = totals;
    say('total-views', format.count(views));
    say('total-engagements', format.count(engagements));
    say('total-dismissals', format.count(dismissals));
    say('total-engagement-rate', perView(engagements, views));
    say('total-dismissal-rate', perView(dismissals, views));
    const dwell = totals.avg_dwell_time_sec;
    say('total-dwell', dwell === null ? '–' : format.duration(dwell * 1_000));
    say('total-day', format.count(recent.interactions_24h));
    sample(asked, views + engagements + dismissals);
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
    // Totals may become less, when events are taken out.
    const rate = Math.max(0, events - before.events) / ((at - before.at) / 1_000);
    samples.push({ at: Date.now(), rate });
    if (samples.length > MOST_SAMPLES) samples.shift();
    say('total-rate', rate === 0 ? '0' : rate.toFixed(rate < 10 ? 2 : 0));
  }
  before = { at, events };
}

async function showRate() {
  fill('rate-table', [
    { label: 'Time (UTC)', kind: 'time', of: (row) => new Date(row.at).toISOString(), show: format.clock },
    { label: 'Events a second', kind: 'number', of: (row) => row.rate, show: (rate) => format.fixed(rate, 2) },
  ], samples);
  const latest = samples.at(-1);
  const most = Math.max(0, ...samples.map((each) => each.rate));
  const summary = latest
    ? `Events a second: ${format.fixed(latest.rate, 2)} now, at most ${format.fixed(most, 2)} since this page was opened.`
    : 'Events a second: not known yet.';
  await draw('rate-chart', summary, (colours) => ({
    type: 'line',
    data: {
      labels: samples.map((each) => format.clock(each.at)),
      datasets: [{
        label: 'Events a second',
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
      plugins: { tooltip: { callbacks: { label: (/** @type {ChartItem} */ item) => ` ${format.fixed(item.raw, 2)} a second` } } },
    },
  }));
}
