"""REST of the search: `routes`, with the models of its requests and answers in `shapes`."""
