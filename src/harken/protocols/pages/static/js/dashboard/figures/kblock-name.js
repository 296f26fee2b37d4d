/** The name of a K-Block in a table. */

import { root } from '../../http.js';

/** Return the title of a K-Block as a link to it; its id if it is not stored. @param {{title: string | null, kblock_id: string}} row */
export function named({ title, kblock_id: id }) {
  if (title === null) return Object.assign(document.createElement('span'), { className: 'mono', textContent: id });
  return Object.assign(document.createElement('a'), {
    href: `${root}/kblock?id=${encodeURIComponent(id)}`, textContent: title || id, title: id,
  });
}
