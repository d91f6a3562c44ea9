CREATE TABLE loyalty_points (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    order_id   TEXT NOT NULL REFERENCES orders (id),
    points     INTEGER NOT NULL,
    earned_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (account_id, order_id)
);

CREATE VIEW loyalty_balance AS
SELECT account_id, sum(points) AS points
FROM loyalty_points
WHERE earned_at > date('now', '-2 years')
GROUP BY account_id;

CREATE TRIGGER grant_points AFTER UPDATE OF status ON orders
WHEN NEW.status = 'delivered' AND OLD.status <> 'delivered'
BEGIN
    INSERT INTO loyalty_points (account_id, order_id, points)
    VALUES (NEW.account_id, NEW.id, NEW.total_cents / 100);
END;
