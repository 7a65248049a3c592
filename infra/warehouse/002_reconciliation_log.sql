-- How the records of each object compared on each day. Kept for years; the quality figure of the scoreboard is computed from it.
CREATE TABLE IF NOT EXISTS ${crm.sfdc_dbx.reconciliation_log} (
  -- the key: `object/<pipeline>/<object>/<date>`; written again, it is the same row
  audit_id          VARCHAR(300) NOT NULL,
  pipeline          VARCHAR(100) NOT NULL,
  object_name       VARCHAR(100) NOT NULL,
  -- the day of the comparison in the pipeline's time zone
  snapshot_date     DATE NOT NULL,
  -- UTC
  compared_at       TIMESTAMP NOT NULL,
  -- UTC: when the copy of the destination last synced
  copied_at         TIMESTAMP,
  -- rows after the filters of each side; figures are NULL if the object was not compared
  source_rows       BIGINT,
  destination_rows  BIGINT,
  joined_rows       BIGINT,
  -- equal by a rule included
  equal_rows        BIGINT,
  missing_rows      BIGINT,
  extra_rows        BIGINT,
  different_rows    BIGINT,
  -- rows that changed too recently to be judged
  pending_rows      BIGINT,
  not_selected_rows BIGINT,
  -- values of the joined, settled rows
  fields_compared   BIGINT,
  fields_agreeing   BIGINT,
  -- wrong rows by what caused them, as JSON: {"rejected": 3}
  by_fault          VARCHAR(2000),
  executed_by       VARCHAR(200) NOT NULL,
  -- why the object was not compared
  not_compared      VARCHAR(1000),
  PRIMARY KEY (audit_id)
);
