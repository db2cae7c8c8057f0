-- A table with something in it, and a reason to look at the dashboard: run this again with psql.
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    placed timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orders (customer, amount)
SELECT 'customer ' || at % 100, (at % 1000)::numeric / 7 FROM generate_series(1, 10000) at;
