-- Run once, by the first start of an empty database, as the owner: the users that log in.
--   ringfence          writes the audit log and shows old decisions: it may add records and read them, and change or
--                      remove none
--   ringfence_auditor  reads it, for people and reports
-- The tables come from `ringfence audit migrate`; its roles are made here so that they can be granted now.
\set ON_ERROR_STOP on
\set writer_password `cat /run/secrets/database_password`
\set reader_password `cat /run/secrets/database_reader_password`

-- No statement with a password in it goes to the server's log.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;

CREATE ROLE ringfence_writer NOLOGIN;
CREATE ROLE ringfence_reader NOLOGIN;
CREATE ROLE ringfence LOGIN PASSWORD :'writer_password' IN ROLE ringfence_writer, ringfence_reader;
CREATE ROLE ringfence_auditor LOGIN PASSWORD :'reader_password' IN ROLE ringfence_reader;
-- Nobody makes anything in the database but its owner.
REVOKE ALL ON DATABASE ringfence FROM PUBLIC;
GRANT CONNECT ON DATABASE ringfence TO ringfence_writer, ringfence_reader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
