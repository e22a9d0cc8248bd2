-- Where the event relay stands in the journal. One row per relay; ``epoch`` says which life of it may
-- store a place, so that one that was replaced never turns it back.
CREATE TABLE relay_places (
    relay          text PRIMARY KEY,
    epoch          bigint NOT NULL,
    transaction_id xid8 NOT NULL,
    position       bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
