"""What the reader page shows of a reader's state: marks of cards, and links to feeds of labels."""
