/** The panel of activity over time. */

import { ask } from '../requests.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel } from '../panel.js';
import { fill } from '../table.js';

const KINDS = /** @type {const} */ (['views', 'engagements', 'dismissals', 'contradictions']);
const LABELS = {
  views: 'Views', engagements: 'Engagements', dismissals: 'Dismissals', contradictions: 'Contradictions',
};
/** With more points, bars would be too thin, so a line is drawn. */
const MOST_BARS = 200;

const panel = new Panel('activity');
const kinds = /** @type {HTMLFieldSetElement} */ (document.getElementById('activity-kinds'));

/** @type {Api.Activity | null} */
let shown = null;

kinds.addEventListener('change', () => shown && drawActivity(shown));

/**
 * @param {import('../range.js').RangeQuery} range
 * @returns {Promise<Api.Activity | undefined>} the activity, undefined if the request failed
 */
export async function showActivity(range) {
  /** @type {Api.Activity | undefined} */
  let found;
  await panel.fill(async () => {
    const activity = await ask('/api/feed/analytics/timeseries', { bucket: range.bucket, ...range.times });
    found = shown = activity;
    panel.window(`by ${range.bucket}, ${range.label}`);
    tabulate(activity);
    if (!KINDS.some((kind) => sum(activity, kind))) return `There are no events in ${range.label}.`;
    await drawActivity(activity);
    return undefined;
  });
  return found;
}

/** @param {{points: Api.Point[]}} found @param {typeof KINDS[number]} kind */
export function sum(found, kind) {
  return found.points.reduce((all, each) => all + each[kind], 0);
}

/** Return the start of a bucket in a short form. @param {string} start @param {string} bucket */
export function label(start, bucket) {
  return bucket === 'day' ? format.day(start) : format.time(start).slice(5);
}

/** @param {Api.Activity} found */
function tabulate({ points }) {
  fill('activity-table', [
    { label: 'From (UTC)', kind: 'time', of: (row) => row.start },
    ...KINDS.map((kind) => ({
      label: LABELS[kind], kind: /** @type {const} */ ('number'), of: (/** @type {Api.Point} */ row) => row[kind],
    })),
    {
      label: 'Mean dwell time (s)', kind: 'number', of: (row) => row.avg_dwell_time_sec,
      show: (value) => format.fixed(value, 2),
    },
  ], points);
}

/** @param {Api.Activity} found */
async function drawActivity(found) {
  const { bucket, points } = found;
  const boxes = [...kinds.querySelectorAll('input')];
  const selected = KINDS.filter((kind) => boxes.find((box) => box.value === kind)?.checked);
  const counted = KINDS.map((kind) => `${format.count(sum(found, kind))} ${kind}`).join(', ');
  const peak = points.reduce((best, each) => (total(each) > total(best) ? each : best), points[0]);
  const summary = `Activity by ${bucket} from ${format.time(points[0].start)} UTC on: ${counted}. `
    + `Most in the ${bucket} from ${format.time(peak.start)}: ${format.count(total(peak))}.`;
  const type = points.length > MOST_BARS ? 'line' : 'bar';
  await draw('activity-chart', summary, (colours) => ({
    type,
    data: {
      labels: points.map((each) => label(each.start, bucket)),
      datasets: selected.map((kind) => ({
        type,
        label: LABELS[kind],
        data: points.map((each) => each[kind]),
        backgroundColor: colours[kind],
        borderColor: type === 'bar' ? colours.surface : colours[kind],
        borderWidth: type === 'bar' ? { top: 1 } : 1,
        pointRadius: 0,
        fill: true,
        categoryPercentage: 0.92,
        barPercentage: 1,
      })),
    },
    options: {
      scales: {
        x: { stacked: true, grid: { display: false } },
        y: { stacked: true, beginAtZero: true, ticks: { precision: 0 } },
      },
      plugins: { tooltip: { callbacks: {
        title: (/** @type {ChartItem[]} */ [item]) => `${format.time(points[item.dataIndex].start)} UTC, one ${bucket}`,
        label: (/** @type {ChartItem} */ item) => ` ${item.dataset.label}: ${format.count(item.raw)}`,
      } } },
    },
  }));
}

/** @param {Api.Point} point */
function total(point) {
  return KINDS.reduce((all, kind) => all + point[kind], 0);
}
