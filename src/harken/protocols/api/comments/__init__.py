"""Routes of comments: list those on a K-Block, edit and remove one's own."""
