"""Send one event to the broker from which `harken consume` reads.

python examples/publish.py nats://127.0.0.1:4222 ada hello engage
"""

import asyncio
import json
import sys
from uuid import uuid4

import nats


async def main(url: str, user_id: str, kblock_id: str, action: str) -> None:
    """Publish an event, and return when the broker has stored it."""
    event = {
        "interaction_id": str(uuid4()),  # sent again with its id, the event counts once
        "user_id": user_id,
        "kblock_id": kblock_id,
        "action": action,
    }
    client = await nats.connect(url)
    await client.jetstream().publish("feedback.events", json.dumps(event).encode())
    await client.close()
    print(f"The broker has {event['interaction_id']}.")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
