"""Routes of what readers have read and saved: marks, the feeds `saved` and `history`, counts."""
