CREATE TABLE accounts (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    username      TEXT NOT NULL,
    phone         TEXT,
    password_hash TEXT NOT NULL,
    status        TEXT NOT NULL DEFAULT 'pending',
    closed_at     INTEGER
);

CREATE TABLE addresses (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    recipient  TEXT NOT NULL,
    street     TEXT NOT NULL,
    postcode   TEXT NOT NULL,
    city       TEXT NOT NULL,
    country    TEXT NOT NULL
);

CREATE TABLE orders (
    id              TEXT PRIMARY KEY,
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    status          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    total_cents     INTEGER NOT NULL,
    idempotency_key TEXT UNIQUE,
    placed_at       TIMESTAMP,
    version         INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE order_lines (
    order_id   TEXT NOT NULL REFERENCES orders (id),
    sku        TEXT NOT NULL,
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    unit_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, sku)
);

CREATE TABLE charges (
    key           TEXT PRIMARY KEY,
    amount        TEXT NOT NULL,
    currency      TEXT NOT NULL,
    reference     TEXT,
    refunded      TEXT,
    refund_reason TEXT
);

CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT,
    expires_at REAL NOT NULL DEFAULT 0,
    fence      INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX orders_by_account ON orders (account_id, placed_at);

CREATE VIEW open_orders AS
SELECT orders.id, accounts.email, orders.status, orders.placed_at
FROM orders
JOIN accounts ON accounts.id = orders.account_id
WHERE orders.status IN ('placed', 'paid', 'packed');
