/** The menus of a page: one that is open closes with a click beside it, and with Escape. */

/** Start to close menus. */
export function start() {
  document.addEventListener('click', (event) => close(/** @type {Element} */ (event.target)));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close(null);
  });
}

/** @param {string} id */
export function open(id) {
  const menu = /** @type {HTMLDetailsElement} */ (document.getElementById(id));
  menu.open = true;
  /** @type {HTMLElement | null} */ (menu.querySelector('input'))?.focus();
}

/** Close the open menus that do not contain the clicked element; null closes all. @param {Element | null} at */
function close(at) {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (at && menu.contains(at)) continue;
    const had = menu.contains(document.activeElement);
    /** @type {HTMLDetailsElement} */ (menu).open = false;
    if (had && at === null) menu.querySelector('summary')?.focus();
  }
}
