"""Groups of settings; `harken.config.Settings` is all of them.

In: environment variables. Out: checked values. Front door: `harken.config`.

    serving  the processes that serve
"""
