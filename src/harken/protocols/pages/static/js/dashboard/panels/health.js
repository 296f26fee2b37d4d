/** The panel of the health of the server. */

import { askHealth } from '../requests.js';
import * as format from '../format.js';
import { Panel, setText } from '../panel.js';
import { fill } from '../table.js';

const panel = new Panel('health');

/** Load and show the health of the server. */
export async function showHealth() {
  await panel.fill(async () => {
    const began = performance.now();
    const found = await askHealth().catch(() => {
      mark('down', 'does not answer');
      throw new Error('The server does not answer.');
    });
    const isReady = found.status === 'ready';
    mark(isReady ? 'up' : 'down', found.status ?? 'unknown');
    if (!isReady) throw new Error(found.problem ?? found.detail ?? 'The server is not ready.');
    fill('health-table', [
      { label: 'Property', of: (row) => row[0] },
      { label: 'Value', of: (row) => row[1] },
    ], facts(found, performance.now() - began));
  });
}

/** @param {'up' | 'down'} how @param {string} text */
function mark(how, text) {
  /** @type {HTMLElement} */ (document.getElementById('health-state')).dataset.how = how;
  setText('health-state', text[0].toUpperCase() + text.slice(1));
}

/** @param {any} found @param {number} took @returns {[string, string][]} */
function facts(found, took) {
  const { index, retraining } = found;
  /** @type {[string, string][]} */
  const rows = [
    ['Answer time', format.duration(took)],
    ['Events waiting for their commit', format.count(found.queue_depth)],
    ['K-Blocks in the index', format.count(index.kblocks)],
    ['Index last checked against the database', `${format.duration(index.age_seconds * 1_000)} ago`],
    ['Schema', found.schema],
  ];
  if (retraining) rows.push(['Retraining', retrained(retraining)]);
  return rows;
}

/** @param {any} of */
function retrained({ every, is_running: isRunning, next_at: next, last }) {
  if (isRunning) return `every ${every}; running now`;
  const before = last ? `; last ${format.time(last.ended_at)}: ${last.outcome}` : '';
  return `every ${every}; next ${format.time(next)}${before}`;
}
