/** The panel that shows HTML fragments of the server. */

const panel = /** @type {HTMLDialogElement} */ (document.getElementById('panel'));
const heading = /** @type {HTMLElement} */ (document.getElementById('panel-heading'));
const body = /** @type {HTMLElement} */ (document.getElementById('panel-body'));

/**
 * Show the panel with a title and a loaded fragment, in which the server escaped all texts.
 * @param {string} title @param {() => Promise<string>} fetchHtml
 */
export async function showPanel(title, fetchHtml) {
  heading.textContent = title;
  body.textContent = 'Loading…';
  if (!panel.open) panel.showModal();
  try {
    body.innerHTML = await fetchHtml();
  } catch (error) {
    body.textContent = /** @type {Error} */ (error).message;
  }
}
