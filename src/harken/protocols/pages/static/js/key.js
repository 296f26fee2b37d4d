/** The form that asks for a key. */

/**
 * @param {string} problem what is wrong with the key that was given before, if one was
 * @returns {Promise<string>} what was typed
 */
export function askForKey(problem) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById('key-form'));
  const dialog = /** @type {HTMLDialogElement} */ (
    /** @type {DocumentFragment} */ (template.content.cloneNode(true)).querySelector('dialog')
  );
  const input = /** @type {HTMLInputElement} */ (dialog.querySelector('input'));
  document.body.append(dialog);
  dialog.showModal();
  /** @type {HTMLElement} */ (dialog.querySelector('.problem')).textContent = problem;
  // There is nothing behind it that could be used without a key.
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  return new Promise((resolve) => {
    dialog.addEventListener('submit', () => {
      resolve(input.value.trim());
      dialog.remove();
    });
  });
}
