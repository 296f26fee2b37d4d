"""Events from a message broker: NATS JetStream or Kafka, through FastStream.

In: messages, each a JSON object with the fields of one event.
Out: events in the record, each once; messages that hold no event, in a place for dead letters.
Front door: `consuming.consume`, which `harken consume` calls.

A message is acknowledged after the commit of its event. A broker may deliver it again at any time:
the event's id, which the place in the stream gives where the message has none, tells the repeat.
"""
