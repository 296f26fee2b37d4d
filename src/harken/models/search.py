"""The search index: one row for each K-Block that is not deleted, by its number.

Each database has a table of its own kind, and neither is part of the models' metadata: SQLite has a
virtual table of FTS5, which keeps the words of each field; PostgreSQL has tsvectors with GIN
indexes. `digest` says which content, and which version of the analysis, a row was made of.
"""

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import TSVECTOR

SEARCH_TABLE = "kblock_search"

FTS5_WORDS = Table(
    SEARCH_TABLE,
    MetaData(),
    Column("rowid", BigInteger, key="number", primary_key=True, autoincrement=False),
    Column("title", Text),
    Column("tags", Text),
    Column("author", Text),
    Column("text", Text),
    Column("digest", Text),
)
"""In SQLite; the order of the columns is that of the weights of bm25()."""

VECTORS = Table(
    SEARCH_TABLE,
    MetaData(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(80), nullable=False),
    Column("heading", TSVECTOR, nullable=False),
    Column("words", TSVECTOR, nullable=False),
)
"""In PostgreSQL: `heading` has the title, the tags and the author, `words` all of a K-Block."""

FTS5_TABLE = (
    f"CREATE VIRTUAL TABLE {SEARCH_TABLE} USING fts5("
    "title, tags, author, text, digest UNINDEXED, tokenize = 'ascii', prefix = '2 3')"
)
"""Words come folded and separated by spaces: this tokenizer keeps what is not ASCII as it is."""
