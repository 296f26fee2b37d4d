"""The route that follows the log: `routes`, with the models of its answers in `shapes`."""
