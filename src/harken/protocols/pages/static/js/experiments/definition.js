/** The panel of the definition. */

import * as format from '../dashboard/format.js';
import { Panel } from '../dashboard/panel.js';
import { fill } from '../dashboard/table.js';
import { describe } from './results.js';
import { share } from './words.js';

const panel = new Panel('definition');

/** @param {Api.Experiment} of */
export async function showDefinition(of) {
  await panel.fill(async () => {
    const facts = [
      ['Metric', of.metric],
      ['Allocation', of.adaptive ? 'adaptive' : 'fixed'],
      ['Readers', of.eligibility.readers],
      ['Planned readers', format.count(of.planned_size)],
      ['Days per reader', format.count(of.window_days)],
      ['Level', String(of.alpha)],
      ['Layer', `${of.layer}, slots ${of.slots.join(' to ')}`],
      ['Salt', of.salt],
    ];
    document.getElementById('facts')?.replaceChildren(...facts.flatMap(([name, value]) => [
      Object.assign(document.createElement('dt'), { textContent: name }),
      Object.assign(document.createElement('dd'), { textContent: value }),
    ]));
    fill('definition-table', [
      { label: 'Arm', of: (row) => row.name },
      { label: 'What it is', of: describe },
      { label: 'Settings', of: settings },
      { label: of.adaptive ? 'Share at the start' : 'Share', kind: /** @type {const} */ ('number'), of: (row) => of.allocation[row.name], show: share },
    ], of.arms);
  });
}

/** @param {Api.Arm} arm */
function settings({ name: _name, ranking: _ranking, model: _model, value: _value, ...rest }) {
  return Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`).join(', ') || '–';
}
