/** Short messages at the foot of the page, read out by screen readers. */

const shelf = /** @type {HTMLElement} */ (document.getElementById('toasts'));

document.addEventListener('close', () => document.body.append(shelf), true);

/**
 * Say something for a while; with an action, offer to do that.
 * @param {string} text
 * @param {{label: string, act: () => void}} [action]
 * @param {number} [milliseconds] how long it stays; while it is pointed at or focused, longer
 * @returns {() => void} takes it away
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
  // More than a few would cover what they are about.
  while (shelf.childElementCount > 2) shelf.firstElementChild?.remove();
  // Whatever is outside of an open dialog can be neither seen well nor used.
  (document.querySelector('dialog[open]') ?? document.body).append(shelf);
  shelf.append(shown);
  const leave = () => {
    if (shown.matches(':hover, :focus-within')) setTimeout(leave, 1_000);
    else shown.remove();
  };
  setTimeout(leave, milliseconds);
  return () => shown.remove();
}
