/** Short messages at the bottom of the page, which screen readers announce. */

const container = /** @type {HTMLElement} */ (document.getElementById('toasts'));

document.addEventListener('close', () => document.body.append(container), true);

/**
 * Show a message for some seconds, optionally with a button.
 * @param {string} text
 * @param {{label: string, act: () => void}} [action]
 * @param {number} [milliseconds] how long it is shown; longer while it is hovered or focused
 * @returns {() => void} removes the message
 */
export function toast(text, action, milliseconds = 6_000) {
  const shown = document.createElement('div');
  shown.className = 'toast';
  shown.append(Object.assign(document.createElement('span'), { textContent: text }));
  if (action) {
    const button = Object.assign(document.createElement('button'), {
      type: 'button', textContent: action.label,
    });
    button.addEventListener('click', () => {
      shown.remove();
      action.act();
    });
    shown.append(button);
  }
  // More than three messages would cover the content.
  while (container.childElementCount > 2) container.firstElementChild?.remove();
  // Elements outside an open modal dialog are inert, so the messages move into it.
  (document.querySelector('dialog[open]') ?? document.body).append(container);
  container.append(shown);
  const leave = () => {
    if (shown.matches(':hover, :focus-within')) setTimeout(leave, 1_000);
    else shown.remove();
  };
  setTimeout(leave, milliseconds);
  return () => shown.remove();
}
