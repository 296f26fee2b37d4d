// A page as a user of the client would write it; its address has the cards and options.
import { createClient } from "/static/harken-client.js";

const { cards, later = 0, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

window.refused = [];
window.client = createClient({
  ...options,
  now: later ? () => Date.now() + later : undefined,
  onGiveUp: (events, problem) => window.refused.push({ events, problem }),
});

for (const [position, card] of cards.entries()) {
  const article = document.createElement("article");
  article.id = card.id ?? card;
  article.className = card.className ?? "";
  article.textContent = article.id;
  document.querySelector("main").append(article);
  client.observe(article, article.id, { position });
}

// Measures how long the page was visible, independently of the client.
const shown = [];
const note = () => shown.push([performance.now(), document.visibilityState === "visible"]);
// Before the first frame, nothing is visible.
requestAnimationFrame(note);
document.addEventListener("visibilitychange", note);
window.visibleMs = () =>
  shown.reduce((sum, [at, visible], index) => {
    const until = shown[index + 1]?.[0] ?? performance.now();
    return sum + (visible ? until - at : 0);
  }, 0);
