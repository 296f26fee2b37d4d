/** What cards show of being read and saved. */

/** @typedef {'read' | 'save'} Mark */

/** @param {ParentNode} card @param {Mark} mark @returns {HTMLElement | null} the button of a mark */
export function button(card, mark) {
  return card.querySelector(`.marks [data-do=${mark}]`);
}

/** @param {ParentNode} card @param {Mark} mark */
export function has(card, mark) {
  return button(card, mark)?.getAttribute('aria-pressed') === 'true';
}

/** @param {ParentNode} card @param {Mark} mark @param {boolean} is */
export function show(card, mark, is) {
  button(card, mark)?.setAttribute('aria-pressed', String(is));
}
