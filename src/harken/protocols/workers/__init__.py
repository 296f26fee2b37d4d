"""The processes of `harken serve`: one, or several under a supervisor.

In: the settings, and the options of the command. Out: a server that answers on a port until it is
asked to end. Front door: `serving`.

    serving      the application with its outer layers, and uvicorn's configuration of it
    supervising  several processes on one port: restarted when they end, replaced one by one
    measuring    the metrics of all these processes together
"""
