/** The panel of the effect over time: one comparison at a time, the primary one first. */

import { fill } from '../dashboard/table.js';
import { Panel, setText } from '../dashboard/panel.js';
import { drawEffect, milliseconds } from './effect-chart.js';
import { bounds, percent, plain, signed } from './words.js';

const panel = new Panel('effect');
const chosen = /** @type {HTMLSelectElement} */ (document.getElementById('comparison'));

/** @type {Api.Comparison[]} */
let shown = [];

chosen.addEventListener('change', show);

/** @param {Api.Results} results */
export async function showEffect({ comparisons }) {
  shown = comparisons;
  const names = comparisons.map(name);
  if (names.join('\n') !== [...chosen.options].map((each) => each.text).join('\n')) {
    chosen.replaceChildren(...names.map((text, i) => new Option(text, String(i))));
  }
  chosen.hidden = names.length < 2;
  await show();
}

async function show() {
  await panel.fill(async () => {
    const of = shown[Number(chosen.value)] ?? shown[0];
    if (!of?.looks.length) return 'Too few readers are compared yet. Readers count when their days are over, and one more for late events.';
    setText('effect-summary', summary(of));
    tabulate(of);
    await drawEffect(of);
    return undefined;
  });
}

/** @param {Api.Comparison} of */
function name({ metric, arm, control, role }) {
  return `${metric}: ${arm} against ${control} (${role})`;
}

/** @param {Api.Comparison} of */
function summary(of) {
  const values = of.control_value === null || of.value === null || of.value === of.control_value ? ''
    : ` ${of.arm}: ${plain(of.value)}, ${of.control}: ${plain(of.control_value)}.`;
  const relative = of.relative === null ? '' : ` (${percent(of.relative)})`;
  return `${of.metric}, ${of.higher_is_better ? 'more' : 'less'} is better.${values} Effect: ${signed(of.effect)}${relative}, ${bounds(of.sequence)} at all looks.`;
}

/** @param {Api.Comparison} of */
function tabulate({ looks }) {
  const number = /** @type {const} */ ('number');
  fill('effect-table', [
    { label: 'Until (UTC)', kind: /** @type {const} */ ('time'), of: (/** @type {Api.Look} */ look) => new Date(/** @type {number} */ (milliseconds(look))).toISOString() },
    { label: 'Readers', kind: number, of: (look) => look.readers },
    { label: 'Effect', kind: number, of: (look) => look.effect, show: signed },
    { label: 'Sequence: low', kind: number, of: (look) => look.sequence[0], show: signed },
    { label: 'Sequence: high', kind: number, of: (look) => look.sequence[1], show: signed },
  ], looks);
}
