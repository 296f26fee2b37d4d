/** The dashboard: what it shows, and when that is asked for again. */

import { showActivity } from './panels/activity.js';
import { ask } from './requests.js';
import { showDismissals } from './panels/dismissals.js';
import { showDwell } from './panels/dwell.js';
import * as format from './format.js';
import { showHealth } from './panels/health.js';
import { showDismissed, showLeaders, whenReordered } from './panels/leaders.js';
import { showModels } from './panels/models.js';
import { marked, say } from './panel.js';
import { Range } from './range.js';
import { Refreshing } from './refreshing.js';
import { showReport } from './panels/report.js';
import { download } from './table.js';
import { showTotals } from './panels/totals.js';

const refreshing = new Refreshing();
const range = new Range(/** @type {HTMLFormElement} */ (document.getElementById('controls')), changed);

const activity = async () => {
  const { asked } = range;
  await showDismissals(await showActivity(asked), asked.label);
};
const dwell = () => showDwell(range.asked);
const leaders = () => showLeaders(range.asked);
const dismissed = () => showDismissed(range.asked);

/** What is counted in the log may take the server a while; it is asked for that more rarely. */
const RESTRAINT = 20;

/** Work that depends on the range. */
const ranged = [activity, dwell, leaders, dismissed];

await extent();
refreshing.every(4, totals);
refreshing.every(4, showHealth);
refreshing.every(8, activity);
refreshing.every(10, extent);
refreshing.every(10, dwell, RESTRAINT);
refreshing.every(10, leaders, RESTRAINT);
refreshing.every(10, dismissed, RESTRAINT);
refreshing.every(20, showModels);
refreshing.every(60, showReport);
refreshing.start();

whenReordered(() => refreshing.now(leaders));

document.addEventListener('click', (event) => {
  const button = /** @type {Element} */ (event.target).closest('[data-csv]');
  if (button instanceof HTMLElement) download(button.dataset.csv ?? '');
});

document.getElementById('pause')?.addEventListener('click', (event) => {
  const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
  refreshing.pause(!refreshing.isPaused);
  button.setAttribute('aria-pressed', String(refreshing.isPaused));
  /** @type {HTMLElement} */ (document.getElementById('state')).dataset.paused = String(refreshing.isPaused);
  if (refreshing.isPaused) say('fresh', `Paused at ${format.clock(Date.now())} UTC`);
});

async function totals() {
  await showTotals();
  if (!refreshing.isPaused) say('fresh', `Live; last looked at ${format.clock(Date.now())}. Times are UTC.`);
}

/** Learn how far the log reaches; where that fails, the panels say so. */
async function extent() {
  const known = await ask('/api/feed/analytics/extent').catch(() => null);
  if (known === null) return;
  range.learn(known.first, known.last);
  hint();
}

function changed() {
  hint();
  refreshing.now(...ranged);
}

function hint() {
  const at = /** @type {HTMLElement} */ (document.getElementById('hint'));
  const text = range.extent === null
    ? 'Nothing is recorded yet. What readers do in the feed shows here at once; `harken import interactions` brings a log from elsewhere, and `harken demo` plays a week of simulated readers.'
    : range.hint;
  if (at.dataset.text === text) return;
  at.dataset.text = text;
  at.hidden = !text;
  at.replaceChildren(...marked(text));
  if (range.extent === null) return;
  const all = Object.assign(document.createElement('button'), {
    type: 'button', className: 'link', textContent: 'Look at everything',
  });
  all.addEventListener('click', () => range.showAll());
  at.append(' ', all);
}
