/** Runs on a locked page, which has no content: loads the page with the API key and replaces it. */

import { key, request, root } from './http.js';
import { signOut } from './signing-in/sign-out.js';

document.getElementById('end')?.addEventListener('click', () => void signOut());
// Who can sign in is not asked for a key, unless they choose to give one.
const signIn = document.getElementById('sign-in');
if (signIn !== null && key() === undefined) {
  const button = /** @type {HTMLElement} */ (document.getElementById('use-key'));
  await new Promise((resolve) => { button.addEventListener('click', resolve, { once: true }); });
}

const path = location.pathname.slice(root.length) + location.search;
const answer = await request(path).catch((error) => error);

if (answer instanceof Response) {
  show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
} else {
  const locked = /** @type {HTMLElement} */ (document.getElementById('locked'));
  locked.textContent = answer.message;
  locked.hidden = false;
}

/** @param {Document} page */
function show(page) {
  document.title = page.title;
  const present = new Set([...document.styleSheets].map((sheet) => sheet.href));
  for (const link of page.head.querySelectorAll('link[rel=stylesheet]')) {
    const { href } = /** @type {HTMLLinkElement} */ (link);
    if (!present.has(href)) document.head.append(document.adoptNode(link));
  }
  document.body.replaceWith(document.adoptNode(page.body));
  // The browser does not run scripts of a parsed document, but it runs created script elements.
  for (const script of page.head.querySelectorAll('script[src]')) {
    const { src } = /** @type {HTMLScriptElement} */ (script);
    // Not async: the scripts run in the order of the page.
    const made = Object.assign(document.createElement('script'), {
      type: script.getAttribute('type') ?? '', async: false, src,
    });
    document.head.append(made);
  }
}
