/** The panel of dismissals per view over time. */

import { label, sum } from './activity.js';
import { draw } from '../charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { LEAST, ratio, shown } from '../figures/sample.js';
import { fill } from '../table.js';

/** With more points, each would be noisy. With few views there are fewer, so that each has enough. */
const MOST_POINTS = 32;

const panel = new Panel('dismissals');

/** @param {Api.Activity | undefined} found activity over time @param {string} range */
export async function showDismissals(found, range) {
  await panel.fill(async () => {
    if (!found) throw new Error('The activity over time could not be loaded.');
    return show(found, range);
  });
}

/** @param {Api.Activity} found @param {string} range */
async function show(found, range) {
  const most = Math.min(MOST_POINTS, Math.max(1, Math.floor(sum(found, 'views') / LEAST)));
  const size = Math.ceil(found.points.length / most);
  const each = size === 1 ? found.bucket : `${size} ${found.bucket}s`;
  const groups = groupPoints(found.points, size);
  panel.window(`by ${each}, ${range}`);
  fill('dismissals-table', [
    { label: 'From (UTC)', kind: 'time', of: (row) => row.start },
    { label: 'Views', kind: 'number', of: (row) => row.views },
    { label: 'Dismissals', kind: 'number', of: (row) => row.dismissals },
    {
      label: 'Dismissals per view', kind: 'number', of: rate, show: (value) => shown(value),
    },
  ], groups);
  const [dismissed, viewed] = [sum(found, 'dismissals'), sum(found, 'views')];
  if (!viewed) return `There are no views in ${range}.`;
  const text = `${format.plural(dismissed, 'dismissal')} in ${format.plural(viewed, 'view')}: `
    + (viewed < LEAST ? 'too few views for a ratio.' : `${format.fixed(dismissed / viewed)} per view.`);
  setText('dismissals-summary', text);
  await draw('dismissals-chart', `Dismissals per view by ${each}, ${range}. ${text}`, (colours) => ({
    type: 'line',
    data: {
      labels: groups.map((group) => label(group.start, found.bucket)),
      datasets: [{
        label: 'Dismissals per view',
        data: groups.map(rate),
        borderColor: colours.dismissals,
        backgroundColor: colours.dismissals,
        borderWidth: 2,
        pointRadius: 3,
        spanGaps: false,
      }],
    },
    options: {
      scales: { x: { grid: { display: false } }, y: { beginAtZero: true, suggestedMax: 0.01 } },
      plugins: { tooltip: { callbacks: {
        title: (/** @type {ChartItem[]} */ [item]) => `${format.time(groups[item.dataIndex].start)} UTC and on, ${each}`,
        label: (/** @type {ChartItem} */ item) => {
          const { dismissals: some, views } = groups[item.dataIndex];
          return ` ${format.fixed(item.raw)}: ${format.count(some)} in ${format.plural(views, 'view')}`;
        },
      } } },
    },
  }));
  return undefined;
}

/** Sum up neighbouring points. @param {Api.Point[]} points @param {number} size points per group */
function groupPoints(points, size) {
  const groups = [];
  for (let i = 0; i < points.length; i += size) {
    const some = { points: points.slice(i, i + size) };
    groups.push({
      start: points[i].start, views: sum(some, 'views'), dismissals: sum(some, 'dismissals'),
    });
  }
  return groups;
}

/** @param {{views: number, dismissals: number}} group */
function rate({ views, dismissals: some }) {
  return ratio(some, views);
}
