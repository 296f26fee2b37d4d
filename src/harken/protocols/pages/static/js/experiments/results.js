/** The panels of results beside the effect: verdicts, arms, sample ratio, guardrails, metrics. */

import * as format from '../dashboard/format.js';
import { Panel } from '../dashboard/panel.js';
import { fill } from '../dashboard/table.js';
import { bounds, OUTCOMES, percent, plain, share, signed } from './words.js';

const panels = {
  verdicts: new Panel('verdicts'), arms: new Panel('arms'), ratio: new Panel('ratio'),
  allocation: new Panel('allocation'),
  guardrails: new Panel('guardrails'), metrics: new Panel('metrics'),
};
const number = /** @type {const} */ ('number');
const STATES = { within: 'within its margin', breached: 'worse by more than its margin', open: 'not known yet' };

/** @param {Api.Results} results @param {Api.Experiment} experiment */
export async function showResults(results, experiment) {
  await panels.verdicts.fill(async () => {
    showSentences(results);
    showCounts(results);
  });
  await panels.arms.fill(async () => showArms(results, experiment));
  await panels.ratio.fill(async () => showRatio(results));
  await showAllocation(results);
  await panels.guardrails.fill(async () => showGuardrails(results));
  await panels.metrics.fill(async () => showMetrics(results));
}

/** Show a message or a problem in place of a verdict. @param {() => Promise<string | void>} work */
export async function withoutVerdict(work) {
  await panels.verdicts.fill(work);
}

/** @param {Api.Results} results */
function showSentences({ verdicts }) {
  const at = /** @type {HTMLElement} */ (document.getElementById('sentences'));
  const written = JSON.stringify(verdicts);
  if (at.dataset.written === written) return; // screen readers would say it again
  at.dataset.written = written;
  const many = Object.keys(verdicts).length > 1;
  at.replaceChildren(...Object.entries(verdicts).map(([arm, { outcome, text }]) => {
    const mark = Object.assign(document.createElement('strong'), { className: 'outcome', textContent: OUTCOMES[outcome] });
    mark.dataset.outcome = outcome;
    const line = Object.assign(document.createElement('p'), { className: 'verdict' });
    const said = text.startsWith(`${OUTCOMES[outcome]}: `) ? text.slice(OUTCOMES[outcome].length + 2) : text;
    line.append(mark, ' ', `${many ? `${arm}: ` : ''}${said}`);
    return line;
  }));
}

/** @param {Api.Results} results */
function showCounts({ readers }) {
  const facts = [
    ['Readers', format.count(readers.exposed)],
    ['Their days are over', format.count(readers.closed)],
    ['Still counted', format.count(readers.open)],
    ['In quarantine', format.count(readers.quarantined)],
    ['Personalisation off', format.count(readers.personalisation_off)],
    ...(readers.without_acts === undefined ? [] : [['Without credited acts', format.count(readers.without_acts)]]),
  ];
  document.getElementById('counts')?.replaceChildren(...facts.map(([name, value]) => {
    const tile = document.createElement('div');
    tile.append(
      Object.assign(document.createElement('dt'), { textContent: name }),
      Object.assign(document.createElement('dd'), { textContent: value }),
    );
    return tile;
  }));
}

/** @param {Api.Results} results @param {Api.Experiment} experiment */
function showArms({ arms }, { arms: defined, control }) {
  const what = Object.fromEntries(defined.map((arm) => [arm.name, describe(arm)]));
  fill('arms-table', [
    { label: 'Arm', of: (row) => row.name },
    { label: 'What it is', of: (row) => `${what[row.name] ?? ''}${row.name === control ? ' (control)' : ''}` },
    { label: 'Planned share', kind: number, of: (row) => row.planned_share, show: share },
    { label: 'Readers', kind: number, of: (row) => row.exposed },
    { label: 'Compared', kind: number, of: (row) => row.compared },
  ], arms);
  return arms.length ? undefined : 'All readers see both sides: the pages are shared.';
}

/** @param {Api.Arm} arm */
export function describe({ name, ranking, model, value }) {
  return model ?? ranking ?? (value === undefined || value === null ? name : JSON.stringify(value));
}

/** @param {Api.Results} results */
function showRatio({ sample_ratio: ratio, quarantine, arms }) {
  const rows = [
    { what: 'Readers', test: ratio }, { what: 'Readers in quarantine', test: quarantine },
  ].flatMap(({ what, test }) => (test === null ? [] : [{ what, ...test }]));
  const names = arms.map((arm) => arm.name).join(' : ');
  fill('ratio-table', [
    { label: 'Of', of: (row) => row.what },
    { label: 'Alarm', of: (row) => (row.fired ? `alarm, at reader ${format.count(row.at_reader)}` : 'no alarm'), show: (text, row) => flag(text, row.fired) },
    { label: `Readers (${names})`, of: (row) => row.counts.map(format.count).join(' : ') },
    { label: 'Expected', of: (row) => row.expected.map((each) => format.fixed(each, 1)).join(' : ') },
    { label: 'p, at all looks', kind: number, of: (row) => row.p_value, show: plain },
  ], rows);
  return rows.length ? undefined : 'There are no arms of readers, so no sample ratio.';
}

/** @param {Api.Results} results */
async function showAllocation({ allocations: versions }) {
  /** @type {HTMLElement} */ (document.getElementById('allocation')).hidden = !versions.length;
  if (!versions.length) return;
  await panels.allocation.fill(async () => {
    const names = Object.keys(versions[0].shares);
    fill('allocation-table', [
      { label: 'Version', kind: number, of: (row) => row.version },
      { label: 'In force from', of: (row) => format.time(row.in_force_at) },
      ...names.map((name) => ({ label: name, kind: number, of: (/** @type {Api.Allocation} */ row) => row.shares[name], show: share })),
      { label: 'From readers', kind: number, of: (row) => row.readers },
      { label: 'Computed by', of: (row) => row.computed_by },
    ], versions);
  });
}

/** @param {string} text @param {boolean} isBad */
function flag(text, isBad) {
  const made = Object.assign(document.createElement('span'), { className: 'badge', textContent: text });
  made.classList.toggle('bad', isBad);
  return made;
}

/** @param {Api.Results} results */
function showGuardrails({ guardrails }) {
  fill('guardrails-table', [
    { label: 'Metric', of: (row) => row.metric },
    { label: 'Arm', of: (row) => row.arm },
    { label: 'State', of: (row) => STATES[row.state], show: (text, row) => flag(text, row.state === 'breached') },
    { label: 'Margin', kind: number, of: (row) => row.margin, show: plain },
    { label: 'Worse by', kind: number, of: (row) => row.worse, show: signed },
    { label: 'At least', kind: number, of: (row) => row.at_least, show: signed },
    { label: 'At most', kind: number, of: (row) => row.at_most, show: signed },
  ], guardrails);
  return guardrails.length ? undefined : 'The definition has no guardrails.';
}

/** @param {Api.Results} results */
function showMetrics({ comparisons, with_quarantined: all, personalisation_off: off }) {
  const rows = [
    ...comparisons,
    ...all.map((each) => ({ ...each, role: 'primary, with quarantine' })),
    ...off.map((each) => ({ ...each, role: 'primary, personalisation off' })),
  ];
  fill('metrics-table', [
    { label: 'Metric', of: (row) => row.metric },
    { label: 'Arm', of: (row) => row.arm },
    { label: 'Role', of: (row) => row.role },
    { label: 'Readers', kind: number, of: (row) => row.readers },
    { label: 'Control', kind: number, of: (row) => row.control_value, show: plain },
    { label: 'Value', kind: number, of: (row) => row.value, show: plain },
    { label: 'Effect', kind: number, of: (row) => row.effect, show: signed },
    { label: 'Relative', kind: number, of: (row) => row.relative, show: percent },
    { label: 'At all looks', isOnlyShown: true, of: (row) => bounds(row.sequence) },
    { label: 'Sequence: low', kind: number, isOnlyInFile: true, of: (row) => row.sequence[0] },
    { label: 'Sequence: high', kind: number, isOnlyInFile: true, of: (row) => row.sequence[1] },
    { label: 'p, at all looks', kind: number, of: (row) => row.always_valid_p, show: plain },
    { label: 'Fixed interval', isOnlyShown: true, of: (row) => bounds(row.fixed_interval) },
    { label: 'Fixed: low', kind: number, isOnlyInFile: true, of: (row) => row.fixed_interval[0] },
    { label: 'Fixed: high', kind: number, isOnlyInFile: true, of: (row) => row.fixed_interval[1] },
  ], rows);
}
