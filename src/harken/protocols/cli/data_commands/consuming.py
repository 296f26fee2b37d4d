"""`harken consume`: events from a message broker."""

import logging.config
from typing import Annotated

import typer

from harken.config import Settings
from harken.errors import InvalidInput, Problem
from harken.protocols.cli.running import Json, messages, print_json, with_persistence
from harken.protocols.stream.address import StreamAddress
from harken.protocols.stream.consuming import consume as consume_stream
from harken.protocols.stream.figures import StreamFigures
from harken.protocols.stream.options import StreamOptions
from harken.protocols.telemetry.logs import log_configuration
from harken.services.record.group_commit import GROUP_SIZE


def install(app: typer.Typer) -> None:
    """Add the command `consume`."""
    app.command()(consume)


def consume(
    url: Annotated[
        str | None, typer.Argument(help="Such as nats://host:4222. Default: HARKEN_STREAM_URL.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Overrides HARKEN_STREAM_SUBJECT.")] = None,
    dead_letters: Annotated[
        str | None, typer.Option(help="Overrides HARKEN_STREAM_DEAD_LETTERS.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Overrides HARKEN_STREAM_GROUP.")] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=10 * GROUP_SIZE, help="The most events recorded at once.")
    ] = GROUP_SIZE,
    create: Annotated[bool, typer.Option(help="Make streams or topics that are missing.")] = False,
    until_empty: Annotated[bool, typer.Option(help="End when no message waits.")] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Answer Prometheus on this port.")
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="The address on which Prometheus is answered.")
    ] = "127.0.0.1",
    as_json: Json = False,
) -> None:
    """Record the events of a NATS or Kafka stream, each once, until Ctrl-C or SIGTERM."""
    settings = Settings.load()
    address = StreamAddress.parse(_given(url, settings))
    options = StreamOptions(
        subject=subject or settings.stream_subject,
        dead_letters=dead_letters or settings.stream_dead_letters,
        group=group or settings.stream_group,
        batch=batch,
        create=create,
    )
    logging.config.dictConfig(log_configuration(settings))
    figures = StreamFigures()
    if metrics_port is not None:
        port = _metrics(figures, metrics_host, metrics_port)
        messages.print(f"Metrics: http://{metrics_host}:{port}/metrics", highlight=False)
    with_persistence(
        lambda record: consume_stream(
            address,
            options,
            record,
            figures,
            until_empty=until_empty,
            started=lambda: messages.print(
                f"Consuming {options.subject} of {address} as {options.group}.", highlight=False
            ),
        )
    )
    if as_json:
        print_json(figures.counts)
    else:
        counts = figures.counts
        typer.echo(
            f"Recorded: {counts['recorded']}. Already recorded: {counts['duplicate']}. "
            f"Of erased readers: {counts['erased']}. Dead letters: {counts['dead_letter']}."
        )


def _given(url: str | None, settings: Settings) -> str:
    if url:
        return url
    if settings.stream_url is None:
        raise InvalidInput(Problem("url", "is missing: give one, or set HARKEN_STREAM_URL"))
    return settings.stream_url.get_secret_value()


def _metrics(figures: StreamFigures, host: str, port: int) -> int:
    try:
        return figures.serve(host, port)
    except OSError as error:
        raise InvalidInput(Problem("metrics_port", f"{host}:{port}: {error.strerror}")) from None
