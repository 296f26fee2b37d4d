"""Write a log of eight weeks in which a ring of twelve accounts pushes four articles.

python examples/planted_ring.py FILE.csv
"""

import csv
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2025, 3, 3, tzinfo=UTC)
READERS, ARTICLES, RING = 200, 160, 12
PUSHED = (31, 58, 90, 117)


def main() -> None:
    """Draw honest readers and a ring, and write what they do in the order of time."""
    draw = random.Random(8)  # noqa: S311 — a simulation
    activity = [draw.paretovariate(1.5) for _ in range(READERS)]
    rows = []
    for article in range(ARTICLES):
        published = START + timedelta(hours=draw.uniform(0, 56 * 24))
        audience = min(int(draw.paretovariate(1.3) * 8), READERS // 3)
        for reader in set(draw.choices(range(READERS), activity, k=audience)):
            # A third reads at once, as after a notification; the others in the next days.
            hours = draw.expovariate(2 if draw.random() < 1 / 3 else 1 / 36)
            at = published + timedelta(hours=hours)
            if at.hour < 7:
                at += timedelta(hours=draw.uniform(7, 9))
            rows.append((at, f"reader-{reader}", f"article-{article}", "view"))
    for article in PUSHED:
        # Each account comes within the same twenty minutes, and likes what it sees.
        moment = START + timedelta(days=article % 50, hours=12)
        for account in range(RING):
            at = moment + timedelta(minutes=draw.uniform(0, 20))
            rows.append((at, f"account-{account}", f"article-{article}", "view"))
            rows.append((at + timedelta(seconds=9), *rows[-1][1:3], "like"))
    with Path(sys.argv[1]).open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("occurred_at", "user_id", "kblock_id", "action"))
        out.writerows((at.isoformat(timespec="seconds"), *rest) for at, *rest in sorted(rows))


if __name__ == "__main__":
    main()
