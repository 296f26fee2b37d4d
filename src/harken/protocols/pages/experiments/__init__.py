"""The pages of experiments: frames that scripts fill from the API."""
