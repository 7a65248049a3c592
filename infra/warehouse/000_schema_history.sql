-- What was applied, and when. File 000 is run each time, for what is recorded here cannot record itself.
-- Differs by dialect: SQLite has no schemas (its tables are called `sfdc_dbx.sync_audit_log`, in one name with a point).
CREATE TABLE IF NOT EXISTS ${crm.sfdc_dbx.schema_history} (
  number     INTEGER NOT NULL,
  revision   INTEGER NOT NULL,
  name       VARCHAR(200) NOT NULL,
  sha256     VARCHAR(64) NOT NULL,
  applied_at TIMESTAMP NOT NULL,
  PRIMARY KEY (number, revision)
);
