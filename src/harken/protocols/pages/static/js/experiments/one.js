/** Entry point of the page of an experiment: it follows the results while the page is open. */

import { json } from '../http.js';
import * as format from '../dashboard/format.js';
import { connectControls } from '../dashboard/page-controls.js';
import { setText } from '../dashboard/panel.js';
import { Refreshing } from '../dashboard/refreshing.js';
import { connect } from './actions.js';
import { showDefinition } from './definition.js';
import { showEffect } from './effect.js';
import { addressOf, loadResults } from './requests.js';
import { showResults, withoutVerdict } from './results.js';

const head = /** @type {HTMLElement} */ (document.getElementById('experiment'));
const id = head.dataset.id ?? '';
const version = new URLSearchParams(location.search).get('version');
const results = /** @type {HTMLElement} */ (document.querySelector('[data-results]'));

/** Counting in the log may be slow: a pause is at least 20 times as long as its request. */
const PAUSE_FACTOR = 20;

/** @type {import('./actions.js').Shown} */
const shown = { experiment: null, results: null };

const refreshing = new Refreshing();
refreshing.add(10, show, PAUSE_FACTOR);
refreshing.start();
connect(shown, () => refreshing.now(show));
connectControls(refreshing);

async function show() {
  try {
    shown.experiment = await json(addressOf(id, version));
    await showExperiment(/** @type {Api.Experiment} */ (shown.experiment));
    if (!refreshing.isPaused) setText('fresh', `Last update at ${format.clock(Date.now())}. Times are UTC.`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    await withoutVerdict(async () => { throw error; });
  }
}

/** @param {Api.Experiment} experiment */
async function showExperiment(experiment) {
  const { state } = experiment;
  const badge = /** @type {HTMLElement} */ (document.getElementById('state'));
  badge.classList.toggle('on', state === 'running');
  setText('state', state);
  setText('about', about(experiment));
  showControls(state);
  setText('decided', decision(experiment));
  await showDefinition(experiment);
  if (state === 'draft') {
    await withoutVerdict(async () => 'It is a draft: it has no readers yet. Start it, and pages of its feeds are served by its arms.');
    return;
  }
  await follow(experiment);
}

/** Show what can be done now. If the focused button goes, the next one gets the focus. @param {string} state */
function showControls(state) {
  const focused = document.activeElement;
  for (const [button, at] of [['start', 'draft'], ['stop', 'running'], ['decide', 'stopped']]) {
    /** @type {HTMLElement} */ (document.getElementById(button)).hidden = state !== at;
  }
  /** @type {HTMLElement} */ (document.getElementById('pause')).hidden = state === 'draft';
  const edit = /** @type {HTMLElement} */ (document.getElementById('edit'));
  edit.hidden = false;
  edit.textContent = state === 'draft' ? 'Edit' : 'New version';
  if (focused instanceof HTMLElement && focused.hidden) {
    /** @type {HTMLElement | null} */ (head.querySelector('.controls > :not([hidden])'))?.focus();
  }
}

/** @param {Api.Experiment} experiment */
async function follow(experiment) {
  const found = await loadResults(experiment);
  shown.results = found;
  results.hidden = false;
  await showResults(found, experiment);
  await showEffect(found);
}

/** @param {Api.Experiment} of */
function about({ version: number, kind, feeds, started_at: started, stopped_at: stopped, stop_reason: why, description }) {
  const what = kind === 'ab' ? 'A/B test' : 'Interleaving';
  const where = feeds.length ? `of ${feeds.join(', ')}` : 'of a flag';
  const since = started ? `, started ${format.time(started)}` : '';
  const until = stopped ? `, stopped ${format.time(stopped)}${why ? `: ${why}` : ''}` : '';
  return `Version ${number}. ${what} ${where}${since}${until}. ${description}`.trim();
}

/** @param {Api.Experiment} of */
function decision({ decision: made, decided_at: at }) {
  if (!made) return '';
  return `Decided ${format.day(at)}: ${made.arm}${made.note ? `. ${made.note}` : ''}`;
}
