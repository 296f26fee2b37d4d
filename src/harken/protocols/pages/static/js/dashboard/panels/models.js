/** The panel of models: their metrics, and which one is in service. */

import { json } from '../../http.js';
import { toast } from '../../toast.js';
import { ask } from '../requests.js';
import { confirm } from '../confirm-dialog.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';
import { marks, warning } from './marks.js';
import { openTrial, outcome, trialCell, trialsOf } from './trial.js';

/** A model with its trial, so that the table is drawn anew when that changes. @typedef {Api.Model & {trials: import('./trial.js').Trials}} Row */

const METRICS = /** @type {const} */ (['ndcg@10', 'mrr', 'hr@5', 'hr@10']);

const panel = new Panel('models');
const rollback = /** @type {HTMLButtonElement} */ (document.getElementById('rollback'));

/** @type {Api.Models} */
let shown = { in_service: null, promotion: 'replay', models: [] };

rollback.addEventListener('click', () => confirm({
  title: 'Undo the latest promotion?',
  text: `${shown.in_service} is in service now. The model before it will be in service again; if there was none, the learned ranking falls back to the personal one.`,
  go: 'Roll back',
  act: async () => {
    /** @type {Api.Rollback} */
    const { before, in_service: serving } = await json('/api/models/rollback', { method: 'POST' });
    await showModels();
    toast(`${before} is no longer in service. Now in service: ${serving ?? 'no model'}.`);
  },
}));

/** Load and show the models. */
export async function showModels() {
  await panel.fill(async () => {
    shown = await ask('/api/models');
    const { experiments } = await ask('/api/experiments');
    rollback.hidden = shown.in_service === null;
    setText('models-marks', warning(shown.models));
    fill('models-table', columns(), shown.models.map((each) => ({ ...each, trials: trialsOf(each, experiments) })));
    return shown.models.length ? undefined
      : 'There are no models yet. `harken train` makes one from the log.';
  });
}

/** @returns {import('../table.js').Column<Row>[]} */
function columns() {
  const number = /** @type {const} */ ('number');
  return [
    { label: 'Model', of: (row) => row.id, show: (id) => Object.assign(document.createElement('span'), { className: 'mono', textContent: id }) },
    { label: 'State', of: state, show: (text, row) => badge(text, row.in_service) },
    {
      label: 'Change', isOnlyShown: true, of: (row) => row.id,
      show: (_id, row) => (row.in_service || row.problem ? '' : buttons(row)),
    },
    { label: 'Trial', of: (row) => outcome(row.trials), show: (_text, row) => trialCell(row.trials) },
    { label: 'Taken out since', of: marks },
    { label: 'Verdict', of: (row) => row.problem ?? row.metrics.verdict?.reason, show: (_reason, row) => verdict(row) },
    ...METRICS.flatMap((name) => [
      {
        label: name.toUpperCase(), kind: number, of: (/** @type {Api.Model} */ row) => candidate(row)[name],
        show: (/** @type {number} */ value) => format.fixed(value),
      },
      ...['low', 'high'].map((end, i) => ({
        label: `${name.toUpperCase()}: ${end}`, kind: number, isOnlyInFile: true,
        of: (/** @type {Api.Model} */ row) => candidate(row).ci?.[name]?.[i],
      })),
    ]),
    { label: 'Impressions', kind: number, of: (row) => row.data.impressions },
    { label: 'Data from (UTC)', kind: 'time', of: (row) => row.data.from, show: (at) => format.day(at) },
    { label: 'Data until (UTC)', kind: 'time', of: (row) => row.data.until, show: (at) => format.day(at) },
    { label: 'Measured until (UTC)', kind: 'time', of: (row) => row.data.measured_until, show: (at) => format.day(at) },
    { label: 'Events', kind: number, of: (row) => row.data.events },
    { label: 'Trained (UTC)', kind: 'time', of: (row) => row.created_at },
    { label: 'Promoted (UTC)', kind: 'time', of: (row) => row.promoted_at },
    { label: 'Version', of: (row) => row.code_version },
  ];
}

/** @param {Api.Model} row @returns {Api.Figures} */
function candidate(row) {
  return row.metrics.rankings?.candidate ?? {};
}

/** @param {Api.Model} row */
function state(row) {
  if (row.in_service) return 'in service';
  return row.promoted_at ? 'was in service' : 'not in service';
}

/** @param {string} text @param {boolean} isOn */
function badge(text, isOn) {
  return Object.assign(document.createElement('span'), { className: isOn ? 'badge on' : 'badge', textContent: text });
}

/** @param {Api.Model} row */
function verdict({ metrics, problem }) {
  if (problem) return folded('cannot be read', problem);
  const { reason } = metrics.verdict ?? {};
  return reason ? folded(comparison(reason), reason) : '–';
}

/** "better than …", "worse than …" or "not known to be better than …". @param {string} reason */
function comparison(reason) {
  return reason.split(':', 1)[0] ?? reason;
}

/** @param {string} title @param {string} text */
function folded(title, text) {
  const made = document.createElement('details');
  const summary = document.createElement('summary');
  summary.textContent = title;
  made.append(summary, Object.assign(document.createElement('p'), { textContent: text }));
  return made;
}

/** @param {Row} row */
function buttons(row) {
  const both = Object.assign(document.createElement('span'), { className: 'row' });
  both.append(promoteButton(row));
  if (shown.promotion === 'trial') both.append(trialButton(row));
  return both;
}

/** @param {Row} row */
function trialButton(row) {
  const { trial } = row.trials;
  const isOpen = trial?.state === 'running' || trial?.state === 'stopped';
  const made = button(isOpen ? 'Next step…' : 'Trial…', `${isOpen ? 'Next step of the trial of' : 'Trial of'} ${row.id}`);
  made.addEventListener('click', () => openTrial(row.id, shown.in_service, isOpen, showModels));
  return made;
}

/** @param {string} textContent @param {string} name */
function button(textContent, name) {
  const made = Object.assign(document.createElement('button'), { type: 'button', textContent, className: 'small' });
  made.setAttribute('aria-label', name);
  return made;
}

/** @param {Api.Model} row */
function promoteButton(row) {
  const made = button('Promote…', `Promote ${row.id}`);
  made.addEventListener('click', () => confirm({
    ...question(row),
    act: async () => {
      await json(`/api/models/${encodeURIComponent(row.id)}/promote`, { method: 'POST' });
      await showModels();
      toast(`${row.id} is in service.`);
    },
  }));
  return made;
}

/** Ask before a promotion; a model that is not better is warned of. @param {Api.Model} row */
function question({ id, metrics }) {
  const { is_better: isBetter, reason } = metrics.verdict ?? {};
  const text = `${id} ${instead()} Verdict: ${reason ?? 'unknown'}.`;
  if (isBetter) return { title: 'Put this model in service?', text, go: 'Promote' };
  const warning = reason
    ? `On the end of the log, which it did not learn from, it was ${comparison(reason)}. Readers may get worse pages.`
    : 'Nobody measured whether it is better.';
  return {
    title: reason
      ? `This model is ${comparison(reason).split(' than ', 1)[0]}. Promote it all the same?`
      : 'Promote a model without a verdict?',
    text, warning, go: 'Promote all the same',
  };
}

function instead() {
  return shown.in_service === null
    ? 'will be in service; no model is now.' : `will serve instead of ${shown.in_service}.`;
}
