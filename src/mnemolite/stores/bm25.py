"""How every store ranks by words: Okapi BM25 over a chunk's three fields taken as one, as SQLite's FTS5 does it."""

BM25_K1 = 1.2
BM25_B = 0.75
NAME_WEIGHT = 5.0  # of a field's term frequencies; with the path's, best of eight pairs in docs/performance.md
PATH_WEIGHT = 4.0
BODY_WEIGHT = 1.0
ALTERNATIVE_ROWS = 300  # matches of alternatives that are scored, or a quarter of those of the words if that is more
MAX_TERMS = 64  # a pasted file would otherwise match every chunk, slowly
