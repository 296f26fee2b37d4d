/** The sentence of a tab: how notes get into its feed, shown while it is hovered or focused. */

/** Null on pages without tabs, such as the search. */
const nav = /** @type {HTMLElement | null} */ (document.getElementById('feeds'));
const tip = /** @type {HTMLElement} */ (document.getElementById('tab-tip'));

/** Start to show the sentences; Escape hides them (WCAG 1.4.13). */
export function start() {
  if (nav === null) return;
  for (const kind of ['mouseover', 'focusin']) nav.addEventListener(kind, show);
  for (const kind of ['mouseleave', 'focusout']) nav.addEventListener(kind, hide);
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') hide(); });
}

/** @param {Event} event */
function show(event) {
  const tab = /** @type {HTMLElement} */ (event.target).closest('a[data-tip]');
  if (tab === null) return;
  tip.textContent = /** @type {HTMLElement} */ (tab).dataset.tip ?? '';
  tip.hidden = false;
}

function hide() {
  tip.hidden = true;
}
