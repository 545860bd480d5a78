-- The request that brought an order. Null in the rows of earlier versions, whose records name none.
ALTER TABLE ringfence.decisions ADD COLUMN request_id text;
CREATE INDEX decisions_request_id ON ringfence.decisions (request_id) WHERE request_id IS NOT NULL;
