/** A page that came without its content: get it with the key, and put it in its place. */

import { request, root } from './http.js';

const path = location.pathname.slice(root.length) + location.search;
const answer = await request(path).catch((error) => error);

if (answer instanceof Response) {
  show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
} else {
  /** @type {HTMLElement} */ (document.getElementById('locked')).textContent = answer.message;
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
  // A parsed script does not run; one that is made does.
  for (const script of page.head.querySelectorAll('script[src]')) {
    const { src } = /** @type {HTMLScriptElement} */ (script);
    // One after the other, as they stand in the page.
    const made = Object.assign(document.createElement('script'), {
      type: script.getAttribute('type') ?? '', async: false, src,
    });
    document.head.append(made);
  }
}
