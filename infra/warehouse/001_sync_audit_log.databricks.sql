-- What happened: a row for each run of a sync and one for each day. Kept for years; the trends are read from it.
-- Differs by dialect: text is STRING, no key is enforced (write by key), and liquid clustering stands where others have an index.
CREATE TABLE IF NOT EXISTS ${crm.sfdc_dbx.sync_audit_log} (
  -- the key: `run/<sync>/<run>` or `day/<pipeline>/<date>`; written again, it is the same row
  audit_id                STRING NOT NULL,
  pipeline                STRING NOT NULL,
  -- `run`: one run of one sync. `day`: the figures of a day
  row_kind                STRING NOT NULL,
  -- the day in the pipeline's time zone
  snapshot_date           DATE NOT NULL,
  -- NULL on day rows, as are the other figures of a run
  sync_name               STRING,
  -- `create` or `update`
  sync_type               STRING,
  run_id                  STRING,
  -- how the run ended, in Census's word: `completed`, `failed`, ...
  status                  STRING,
  -- UTC: when the run began, or when the day's figures were taken
  execution_timestamp     TIMESTAMP NOT NULL,
  duration_seconds        BIGINT,
  -- on day rows: of all runs of the day
  records_processed       BIGINT,
  records_succeeded       BIGINT,
  records_failed          BIGINT,
  -- percent of the records processed; NULL if there were none
  error_rate              DOUBLE,
  -- from here on the figures of a day
  total_properties        BIGINT,
  synced_properties       BIGINT,
  coverage_percentage     DOUBLE,
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
  figures_missing         STRING,
  executed_by             STRING NOT NULL,
  notes                   STRING
)
CLUSTER BY (pipeline, snapshot_date);
