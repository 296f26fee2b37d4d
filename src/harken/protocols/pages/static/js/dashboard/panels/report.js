/** The panel of the report: is the feed getting better? Weeks, and models compared with rankings. */

import { download, json } from '../../http.js';
import { toast } from '../../toast.js';
import { ask, now } from '../requests.js';
import { drawReplay, drawWeeks, RATIOS } from './report-charts.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';

const VERDICTS = { better: 'Better', worse: 'Worse', not_known: 'Not known' };
const STALE_DAYS = 8;

const panel = new Panel('report');
const ratio = /** @type {HTMLSelectElement & {value: import('./report-charts.js').Ratio}} */ (document.getElementById('ratio'));
const metric = /** @type {HTMLSelectElement} */ (document.getElementById('metric'));

/** @type {Api.Report | null} */
let shown = null;

ratio.addEventListener('change', () => shown && drawWeeks(shown.weeks, ratio.value));
metric.addEventListener('change', () => shown && drawReplay(shown.models, metric.value));

const make = /** @type {HTMLButtonElement} */ (document.getElementById('make-report'));
const exported = /** @type {HTMLButtonElement} */ (document.getElementById('export-report'));

make.addEventListener('click', () => acting(make, 'Making…', async () => {
  await json('/api/report', { method: 'POST' });
  await showReport();
  toast('The report is made.');
}));
exported.addEventListener('click', () => acting(exported, 'Writing…', () => (
  download('/api/report/html', `harken-report-${format.day(shown?.created_at)}.html`)
)));

/** Do what a button says, once at a time; an error is shown in the panel. @param {HTMLButtonElement} button @param {string} during @param {() => Promise<void>} act */
async function acting(button, during, act) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  const name = button.textContent;
  button.setAttribute('aria-disabled', 'true'); // not `disabled`, which would lose the focus
  button.textContent = during;
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    panel.problem(error.message);
  } finally {
    button.setAttribute('aria-disabled', 'false');
    button.textContent = name;
  }
}

/** Load and show the latest report. */
export async function showReport() {
  await panel.fill(async () => {
    const found = await ask('/dashboard/report');
    exported.hidden = found === null;
    setText('report-age', found === null ? '' : madeAt(found.created_at));
    if (found === null) {
      return 'There is no report yet. Run `harken report`, or make one here: it compares weeks, and models with simple rankings.';
    }
    if (found.report_id === shown?.report_id) return undefined;
    shown = found;
    setText('no-experiment', found.no_experiment);
    answer(found.answer);
    tabulate(found);
    await drawWeeks(found.weeks, ratio.value);
    await drawReplay(found.models, metric.value);
    return undefined;
  });
}

/** @param {string} at */
function madeAt(at) {
  const days = (now() - Date.parse(at)) / 86_400_000;
  const hint = days > STALE_DAYS ? '; harken report makes a new one' : '';
  return `Report of ${format.time(at)} UTC${hint}`;
}

/** @param {Api.Report['answer']} given */
function answer({ verdict, text }) {
  const at = /** @type {HTMLElement} */ (document.getElementById('verdict'));
  at.dataset.verdict = verdict;
  at.textContent = VERDICTS[verdict];
  const sentence = text.replace(/^(Better|Worse|Not known): /, '');
  setText('answer', sentence[0].toUpperCase() + sentence.slice(1));
}

/** @param {Api.Report} found */
function tabulate({ weeks, rankings, models }) {
  const week = [
    { label: 'Week', of: (/** @type {Api.Counted} */ row) => row.week },
    { label: 'Begins (UTC)', kind: /** @type {const} */ ('time'), of: (/** @type {Api.Counted} */ row) => row.begin, show: format.day },
  ];
  fill('weeks-table', [
    ...week,
    { label: 'Complete', of: (row) => (row.is_partial ? 'partial' : 'yes') },
    ...counts(),
  ], weeks);
  fill('rankings-table', [
    week[0],
    { label: 'Ranking', of: (row) => row.ranking ?? 'unknown' },
    week[1],
    ...counts(),
  ], rankings);
  fill('replay-table', replayColumns(), models.flatMap(replayRows));
}

/** @returns {import('../table.js').Column<Api.Counted>[]} */
function counts() {
  const number = /** @type {const} */ ('number');
  const ratios = /** @type {[import('./report-charts.js').Ratio, string][]} */ (Object.entries(RATIOS));
  const names = /** @type {const} */ ([
    ['views', 'Views'], ['engagements', 'Engagements'], ['dismissals', 'Dismissals'],
    ['readers', 'Readers'], ['guest_visits', 'Guest visits'],
  ]);
  return [
    ...ratios.flatMap(([name, label]) => /** @type {const} */ ([
      ['value', label], ['low', `${label}: low`], ['high', `${label}: high`],
    ]).map(([part, title]) => ({
      label: title, kind: number, of: (/** @type {Api.Counted} */ row) => row[name][part],
      show: (/** @type {number | null} */ value) => format.fixed(value),
    }))),
    ...names.map(([name, label]) => ({
      label, kind: number, of: (/** @type {Api.Counted} */ row) => row[name],
    })),
    {
      label: 'Mean dwell time (s)', kind: number, of: (row) => row.avg_dwell_time_sec,
      show: (value) => format.fixed(value, 1),
    },
  ];
}

/** Return one row for each ranking and metric. @param {Api.Measured} model */
function replayRows(model) {
  return Object.entries(model.rankings).flatMap(([ranking, values]) => (
    Object.entries(values).map(([name, value]) => ({
      ...model, ranking, metric: name, value,
      apart: model.differences.find((each) => each.than === ranking && each.metric === name),
    }))
  ));
}

/** @returns {import('../table.js').Column<ReturnType<typeof replayRows>[number]>[]} */
function replayColumns() {
  const number = /** @type {const} */ ('number');
  return [
    { label: 'Model', of: (row) => row.model_id },
    { label: 'Measured', of: (row) => (row.basis === 'in_service' ? 'in service' : 'held out') },
    { label: 'From (UTC)', kind: 'time', of: (row) => row.from },
    { label: 'Until (UTC)', kind: 'time', of: (row) => row.until },
    { label: 'Impressions', kind: number, of: (row) => row.impressions },
    { label: 'Sample of', kind: number, of: (row) => row.measurable },
    { label: 'Readers', kind: number, of: (row) => row.readers },
    { label: 'Metric', of: (row) => row.metric.toUpperCase() },
    { label: 'Ranking', of: (row) => row.ranking },
    { label: 'Value', kind: number, of: (row) => row.value, show: (value) => format.fixed(value) },
    {
      label: 'Model minus ranking', kind: number, of: (row) => row.apart?.difference,
      show: (value) => format.signed(value),
    },
    { label: 'Low', kind: number, of: (row) => row.apart?.low, show: (value) => format.signed(value) },
    { label: 'High', kind: number, of: (row) => row.apart?.high, show: (value) => format.signed(value) },
  ];
}
