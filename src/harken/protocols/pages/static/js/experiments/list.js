/** Entry point of the list of experiments. */

import { json, root } from '../http.js';
import { ask } from '../dashboard/requests.js';
import { Panel } from '../dashboard/panel.js';
import { Refreshing } from '../dashboard/refreshing.js';
import { download, fill } from '../dashboard/table.js';
import { open } from './form.js';
import { badge } from './words.js';

const panel = new Panel('experiments');
const state = /** @type {HTMLSelectElement} */ (document.getElementById('state'));
const from = new URLSearchParams(location.search).get('from');

const refreshing = new Refreshing();
refreshing.add(10, show);
refreshing.start();
state.addEventListener('change', () => refreshing.now(show));
document.addEventListener('click', (event) => {
  const button = /** @type {Element} */ (event.target).closest('[data-csv]');
  if (button instanceof HTMLElement) download(button.dataset.csv ?? '');
});

if (from !== null) {
  await panel.fill(async () => open(await json(`/api/experiments/${encodeURIComponent(from)}`)));
}

async function show() {
  await panel.fill(async () => {
    const { experiments } = await ask('/api/experiments', state.value ? { state: state.value } : {});
    fill('experiments-table', columns(), experiments);
    if (experiments.length) return undefined;
    return state.value ? `No experiment is ${state.value}.`
      : 'There are no experiments yet. Make one here, or by `harken experiment create`.';
  });
}

/** @returns {import('../dashboard/table.js').Column<Api.Experiment>[]} */
function columns() {
  const number = /** @type {const} */ ('number');
  const time = /** @type {const} */ ('time');
  return [
    { label: 'Experiment', of: (row) => row.id, show: (_id, row) => link(row) },
    { label: 'Version', kind: number, of: (row) => row.version },
    { label: 'State', of: (row) => row.state, show: badge },
    { label: 'Kind', of: (row) => (row.kind === 'ab' ? 'A/B' : row.kind) },
    { label: 'Feeds', of: (row) => row.feeds.join(', ') || 'flag' },
    { label: 'Arms', of: (row) => row.arms.map((arm) => arm.name).join(', ') },
    { label: 'Metric', of: (row) => row.metric },
    { label: 'Chosen', of: (row) => (row.decision ? String(row.decision.arm) : null) },
    { label: 'Planned readers', kind: number, of: (row) => row.planned_size },
    { label: 'Created (UTC)', kind: time, of: (row) => row.created_at },
    { label: 'Started (UTC)', kind: time, of: (row) => row.started_at },
    { label: 'Stopped (UTC)', kind: time, of: (row) => row.stopped_at },
  ];
}

/** @param {Api.Experiment} row */
function link({ id, version }) {
  const href = `${root}/experiments/${encodeURIComponent(id)}?version=${version}`;
  return Object.assign(document.createElement('a'), { href, textContent: id });
}

