/** Entry point of the dashboard: its panels, and how often each is refreshed. */

import { showActivity } from './panels/activity.js';
import { ask } from './requests.js';
import { showDismissals } from './panels/dismissals.js';
import { showDwell } from './panels/dwell.js';
import * as format from './format.js';
import { showHealth } from './panels/health.js';
import { showDismissed, showLeaders, onSortChange } from './panels/leaders.js';
import { showModels } from './panels/models.js';
import { connectControls } from './page-controls.js';
import { marked, setText } from './panel.js';
import { Range } from './range.js';
import { Refreshing } from './refreshing.js';
import { showReport } from './panels/report.js';
import { onFilterChange, showImpressions, showPosition } from './panels/impressions.js';
import { onOneChange, showOne } from './panels/one.js';
import { showRates, showTotals } from './panels/totals.js';

const refreshing = new Refreshing();
const range = new Range(/** @type {HTMLFormElement} */ (document.getElementById('controls')), changed);

const impressions = () => showImpressions(range.query);
const position = () => showPosition(range.query);
const one = () => showOne(range.query);
const activity = async () => {
  const { query } = range;
  await showDismissals(await showActivity(query), query.label);
};
const dwell = () => showDwell(range.query);
const leaders = () => showLeaders(range.query);
const dismissed = () => showDismissed(range.query);

/** Counting in the log may be slow: a pause is at least 20 times as long as its request. */
const PAUSE_FACTOR = 20;

/** Panels that depend on the range. */
const ranged = [totals, activity, impressions, position, dwell, leaders, dismissed, one];

await extent();
refreshing.add(4, totals, PAUSE_FACTOR);
refreshing.add(4, showRates);
refreshing.add(4, showHealth);
refreshing.add(8, activity);
refreshing.add(10, extent);
refreshing.add(10, dwell, PAUSE_FACTOR);
refreshing.add(10, leaders, PAUSE_FACTOR);
refreshing.add(10, dismissed, PAUSE_FACTOR);
refreshing.add(10, impressions, PAUSE_FACTOR);
refreshing.add(30, position, PAUSE_FACTOR);
refreshing.add(20, one, PAUSE_FACTOR);
refreshing.add(20, showModels);
refreshing.add(60, showReport);
refreshing.start();

onSortChange(() => refreshing.now(leaders));
onFilterChange(() => refreshing.now(impressions, position));
onOneChange(() => refreshing.now(one));

connectControls(refreshing);
document.getElementById('pause')?.addEventListener('click', () => {
  /** @type {HTMLElement} */ (document.getElementById('state')).dataset.paused = String(refreshing.isPaused);
});

async function totals() {
  await showTotals(range.query);
  if (!refreshing.isPaused) setText('fresh', `Live; last update at ${format.clock(Date.now())}. Times are UTC.`);
}

/** Load the extent of the log; if that fails, the panels show the error. */
async function extent() {
  const known = await ask('/api/feed/analytics/extent').catch(() => null);
  if (known === null) return;
  range.setExtent(known.first, known.last);
  hint();
}

function changed() {
  hint();
  refreshing.now(...ranged);
}

function hint() {
  const at = /** @type {HTMLElement} */ (document.getElementById('hint'));
  const text = range.extent === null
    ? 'No events are recorded yet. Events of readers appear here at once. `harken import interactions` imports an existing log, and `harken demo` simulates a week of readers.'
    : range.hint;
  if (at.dataset.text === text) return;
  at.dataset.text = text;
  at.hidden = !text;
  at.replaceChildren(...marked(text));
  if (range.extent === null) return;
  const all = Object.assign(document.createElement('button'), {
    type: 'button', className: 'link', textContent: 'Show everything',
  });
  all.addEventListener('click', () => range.showAll());
  at.append(' ', all);
}
