/** The controls of a page that follows figures: its pause, and tables as CSV. */

import * as format from './format.js';
import { setText } from './panel.js';
import { download } from './table.js';

/**
 * Connect the buttons of the page.
 * @param {import('./refreshing.js').Refreshing} refreshing
 */
export function connectControls(refreshing) {
  document.addEventListener('click', (event) => {
    const button = /** @type {Element} */ (event.target).closest('[data-csv]');
    if (button instanceof HTMLElement) download(button.dataset.csv ?? '');
  });
  const pause = document.getElementById('pause');
  pause?.addEventListener('click', () => {
    refreshing.pause(!refreshing.isPaused);
    pause.setAttribute('aria-pressed', String(refreshing.isPaused));
    if (refreshing.isPaused) setText('fresh', `Paused at ${format.clock(Date.now())} UTC`);
  });
}
