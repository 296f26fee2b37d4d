/** The panel that shows lists which the server makes. */

const panel = /** @type {HTMLDialogElement} */ (document.getElementById('panel'));
const heading = /** @type {HTMLElement} */ (document.getElementById('panel-heading'));
const body = /** @type {HTMLElement} */ (document.getElementById('panel-body'));

/**
 * Show a panel; what is in it comes as HTML of which the server escaped every text.
 * @param {string} title @param {() => Promise<string>} fetchHtml
 */
export async function showPanel(title, fetchHtml) {
  heading.textContent = title;
  body.textContent = 'One moment…';
  if (!panel.open) panel.showModal();
  try {
    body.innerHTML = await fetchHtml();
  } catch (error) {
    body.textContent = /** @type {Error} */ (error).message;
  }
}
