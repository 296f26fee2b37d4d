/** How the server is. */

import { askHealth } from '../requests.js';
import * as format from '../format.js';
import { Panel, say } from '../panel.js';
import { fill } from '../table.js';

const panel = new Panel('health');

/** Ask how the server is, and show it. */
export async function showHealth() {
  await panel.fill(async () => {
    const began = performance.now();
    const found = await askHealth().catch(() => {
      mark('down', 'does not answer');
      throw new Error('The server does not answer.');
    });
    const isReady = found.status === 'ready';
    mark(isReady ? 'up' : 'down', found.status ?? 'not known');
    if (!isReady) throw new Error(found.problem ?? found.detail ?? 'The server is not ready.');
    fill('health-table', [
      { label: 'What', of: (row) => row[0] },
      { label: 'Now', of: (row) => row[1] },
    ], facts(found, performance.now() - began));
  });
}

/** @param {'up' | 'down'} how @param {string} text */
function mark(how, text) {
  /** @type {HTMLElement} */ (document.getElementById('health-state')).dataset.how = how;
  say('health-state', text[0].toUpperCase() + text.slice(1));
}

/** @param {any} found @param {number} took @returns {[string, string][]} */
function facts(found, took) {
  const { index, retraining } = found;
  /** @type {[string, string][]} */
  const rows = [
    ['Answers within', format.duration(took)],
    ['Events that wait for their commit', format.count(found.queue_depth)],
    ['K-Blocks in the index', format.count(index.kblocks)],
    ['Index compared with the database', `${format.duration(index.age_seconds * 1_000)} ago`],
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
