"""Feeds as sites serve them, for tests of sources."""

from tests.support.web import Answer

HTML = {"Content-Type": "text/html; charset=utf-8"}


def rss(title: str, *items: str, day: int = 1, link: str = "https://blog.example/") -> bytes:
    """Return an RSS document; its items came every four minutes of a day, the first one last."""
    entries = "".join(
        f"<item><title>{item}</title><link>{link}{item.replace(' ', '-')}</link>"
        f"<guid>{link}{item}</guid><description>What {item} says.</description>"
        f"<pubDate>{day:02} Feb 2026 {_clock(1_436 - 4 * number)} GMT</pubDate></item>"
        for number, item in enumerate(items)
    )
    head = f"<title>{title}</title><link>{link}</link>"
    return f'<rss version="2.0"><channel>{head}{entries}</channel></rss>'.encode()


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}:00"


def page_naming(*feeds: str) -> Answer:
    """Return a web page that names feeds as its alternates."""
    links = "".join(
        f'<link rel="alternate" type="application/rss+xml" href="{each}">' for each in feeds
    )
    return Answer(f"<!doctype html><html><head>{links}</head></html>".encode(), headers=HTML)
