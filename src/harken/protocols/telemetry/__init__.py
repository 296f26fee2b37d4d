"""What a running server tells about itself: metrics for Prometheus, its log, and traces.

In: requests and commits as they happen; figures of the services when somebody asks. Out: the text
of `/metrics`; lines of the log with the ids of request and trace; spans. Front door: `requests`.

    requests       an ASGI layer that times requests and names them in the log
    metrics        the metrics of one process, or of all that share a folder
    process        what the operating system says of a process
    sampling       what a process tells the others about itself, once a second
    logs           the configuration of the log
    access_log     a line for each request
    request_names  the ids of request and trace, in lines of the log
    trace_context  the id of a trace, from the header `traceparent`
    tracing        whether traces are made
    traces         spans of requests, and sending them
    spans          spans of what happens within a request
"""
