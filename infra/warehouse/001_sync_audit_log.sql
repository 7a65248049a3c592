-- What happened: a row for each run of a sync and one for each day. Kept for years; the trends are read from it.
CREATE TABLE IF NOT EXISTS ${crm.sfdc_dbx.sync_audit_log} (
  -- the key: `run/<sync>/<run>` or `day/<pipeline>/<date>`; written again, it is the same row
  audit_id                VARCHAR(200) NOT NULL,
  pipeline                VARCHAR(100) NOT NULL,
  -- `run`: one run of one sync. `day`: the figures of a day
  row_kind                VARCHAR(10) NOT NULL,
  -- the day in the pipeline's time zone
  snapshot_date           DATE NOT NULL,
  -- NULL on day rows, as are the other figures of a run
  sync_name               VARCHAR(100),
  -- `create` or `update`
  sync_type               VARCHAR(20),
  run_id                  VARCHAR(64),
  -- how the run ended, in Census's word: `completed`, `failed`, ...
  status                  VARCHAR(20),
  -- UTC: when the run began, or when the day's figures were taken
  execution_timestamp     TIMESTAMP NOT NULL,
  duration_seconds        BIGINT,
  -- on day rows: of all runs of the day
  records_processed       BIGINT,
  records_succeeded       BIGINT,
  records_failed          BIGINT,
  -- percent of the records processed; NULL if there were none
  error_rate              DOUBLE PRECISION,
  -- from here on the figures of a day
  total_properties        BIGINT,
  synced_properties       BIGINT,
  coverage_percentage     DOUBLE PRECISION,
  create_queue_count      BIGINT,
  update_queue_count      BIGINT,
  -- quality of the data; what was not delivered is in records_failed
  null_company_count      BIGINT,
  duplicate_count         BIGINT,
  incidents_opened        BIGINT,
  incidents_resolved      BIGINT,
  -- mean over the incidents opened on the day
  time_to_detect_seconds  BIGINT,
  -- mean over the incidents resolved on the day
  time_to_recover_seconds BIGINT,
  -- which figures could not be had any more, and why
  figures_missing         VARCHAR(1000),
  executed_by             VARCHAR(200) NOT NULL,
  notes                   VARCHAR(2000),
  PRIMARY KEY (audit_id)
);
